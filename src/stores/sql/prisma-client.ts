import type { SecondConnections } from './executor.js';
import { enlist, watch } from './second-connections.js';

/** A driver adapter, as the application passes it to `new PrismaClient()`. */
export interface PrismaAdapter {
  /** `postgres`, `mysql`, `sqlite` or `sqlserver`. */
  readonly provider?: string;
  connect?: (...args: unknown[]) => Promise<ConnectedAdapter>;
  readonly config?: { readonly max?: unknown };
}

interface ConnectedAdapter {
  underlyingDriver?(): object;
  readonly client?: object;
}

/** The transaction that a request belongs to; `itx` is what `$transaction(async (tx) => …)` begins. */
interface RequestTransaction {
  readonly kind?: string;
}

/** What Prisma has inside. Nothing of it is public, so everything may be missing. */
interface Insides {
  readonly _originalClient?: Insides;
  readonly _engineConfig?: { readonly adapter?: PrismaAdapter };
  readonly _engine?: { transaction?: (action: string, ...rest: unknown[]) => Promise<unknown> };
  _request?: (request: { readonly transaction?: RequestTransaction }) => Promise<unknown>;
  readonly _extensions?: object;
}

/** The client without what `$extends()` has added. */
export function originalOf(client: object): object {
  return (client as Insides)._originalClient ?? client;
}

/** `undefined` for a client whose engine has its own driver. */
export function adapterOf(client: object): PrismaAdapter | undefined {
  return (originalOf(client) as Insides)._engineConfig?.adapter;
}

/** The transaction without what `$extends()` has added to its client. */
export function withoutExtensions<Tx extends object>(client: object, tx: Tx): Tx {
  const original = originalOf(client) as Insides;
  const { _extensions: value } = original;
  return original === client || value === undefined
    ? tx
    : (Object.create(tx, { _extensions: { value } }) as Tx);
}

const pools = new WeakMap<PrismaAdapter, object>();
const remembered = new WeakSet<PrismaAdapter>();

/** Keeps the driver's pool, which the adapter makes when the client connects. */
export function rememberPool(adapter: PrismaAdapter): void {
  if (remembered.has(adapter) || typeof adapter.connect !== 'function') return;
  remembered.add(adapter);
  const connect = adapter.connect.bind(adapter);
  adapter.connect = async (...args) => {
    const connected = await connect(...args);
    const pool = connected.underlyingDriver?.() ?? connected.client;
    if (typeof pool === 'object') pools.set(adapter, pool);
    return connected;
  };
}

export function isPrismaPoolOfOne(adapter: PrismaAdapter): boolean {
  const pool = pools.get(adapter) as { options?: { max?: unknown } } | undefined;
  return (pool?.options?.max ?? adapter.config?.max) === 1;
}

/** What pools of `pg` and `mariadb` lend. */
interface Lent {
  release(): unknown;
}

interface Pool {
  connect?(): Promise<Lent>;
  getConnection?(): Promise<Lent>;
}

/**
 * Whatever is sent from outside of a transaction waits until there is a connection for it, within the time that
 * there is. Decided where the request is made: Prisma sends several of them together, from the place of the first.
 */
export function watchPrisma(client: object, connections: SecondConnections): void {
  const original = originalOf(client) as Insides;
  watch(original, (beside) => {
    const { _engine: engine, _request: request } = original;
    const wait = async <T>(send: () => Promise<T>): Promise<T> => {
      const found = beside();
      if (found === undefined) return send();
      const lent = await found.take(() => borrow(adapterOf(original)), giveBack);
      giveBack(lent);
      return send();
    };
    if (typeof request === 'function') {
      original._request = function (this: Insides, params) {
        const isInside = params.transaction?.kind === 'itx';
        const send = (): Promise<unknown> => request.call(this, params);
        return isInside ? send() : wait(send);
      };
    }
    const begin = engine?.transaction;
    if (engine !== undefined && typeof begin === 'function') {
      engine.transaction = (action, ...rest) => {
        const send = (): Promise<unknown> => begin.call(engine, action, ...rest);
        return action === 'start' && !isNested(rest) ? wait(send) : send();
      };
    }
  });
  enlist(original, connections);
}

/** A transaction in another one is a savepoint of it. */
function isNested([, options]: readonly unknown[]): boolean {
  return (options as { newTxId?: unknown } | undefined)?.newTxId !== undefined;
}

/** `undefined` where nobody knows the pool: then nothing is waited for. */
async function borrow(adapter: PrismaAdapter | undefined): Promise<Lent | undefined> {
  const pool = adapter && (pools.get(adapter) as Pool | undefined);
  return pool?.connect?.() ?? pool?.getConnection?.();
}

function giveBack(lent: Lent | undefined): void {
  lent?.release();
}

/** True if what is sent beside a transaction can be seen. */
export function isWatchable(client: object): boolean {
  const { _engine, _request } = originalOf(client) as Insides;
  return typeof _request === 'function' && typeof _engine?.transaction === 'function';
}
