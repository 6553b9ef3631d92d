import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager } from 'typeorm';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';

interface Current {
  readonly dataSource: DataSource;
  readonly manager: EntityManager;
}

/** One for all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:typeorm-transaction');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<Current> };
const storage = ((globalThis as Shared)[STORAGE] ??= new AsyncLocalStorage<Current>());

/**
 * The manager to write with: that of the transaction which the present handler runs in, with
 * `transaction: true`; elsewhere the data source's own. Lets repositories and services take part
 * in the transaction without being handed a manager.
 *
 * @example
 * await currentManager(this.dataSource).save(payment);
 */
export function currentManager(dataSource: DataSource): EntityManager {
  const current = storage.getStore();
  return current?.dataSource === dataSource ? current.manager : dataSource.manager;
}

/** True while the present code runs in a transaction of this data source. */
export function isInTransaction(dataSource: DataSource): boolean {
  return storage.getStore()?.dataSource === dataSource;
}

export function runWithManager<T>(current: Current, work: () => T): T {
  return storage.run(current, work);
}

/** What is used of a `TransactionHost`. It has no public way to be given a transaction. */
export interface TransactionHost {
  /** The manager of the transaction, else the data source's own; with other adapters anything. */
  readonly tx: Partial<EntityManager> | null | undefined;
  readonly cls: { run<T>(options: { ifNested: 'inherit' }, work: () => T): T };
  setTxInstance(manager: EntityManager): void;
}

type Hosts = Pick<ReadonlyMap<unknown, TransactionHost>, 'values'>;

const NONE: Hosts = new Map();

let loading: Promise<Hosts> | undefined;

/**
 * The hosts of `@nestjs-cls/transactional` whose adapter works on this data source, whatever the
 * names of their connections; none in an application without that package.
 *
 * @throws {@link IdempotencyConfigurationError} for hosts of a version that is not known
 */
export async function transactionHostsOf(dataSource: DataSource): Promise<TransactionHost[]> {
  loading ??= load();
  const hosts = [...(await loading).values()];
  if (!hosts.every(isKnown)) throw unknownVersion();
  // `connection` is what both TypeORM 0.3 and 1 call it.
  return hosts.filter(({ tx }) => tx?.connection === dataSource);
}

/** Runs code in which `TransactionHost.tx` is this manager, and `@Transactional()` methods join it. */
export function runWithHosts<T>(
  hosts: readonly TransactionHost[],
  manager: EntityManager,
  work: () => T,
): T {
  const [first] = hosts;
  if (first === undefined) return work();
  // A context of its own, as every `@Transactional()` has: concurrent operations do not mix.
  return first.cls.run({ ifNested: 'inherit' }, () => {
    for (const host of hosts) host.setTxInstance(manager);
    return work();
  });
}

async function load(): Promise<Hosts> {
  let loaded: object;
  try {
    loaded = await import('@nestjs-cls/transactional');
  } catch {
    return NONE;
  }
  // The registry that `@Transactional()` itself asks.
  const { TransactionHost } = loaded as { TransactionHost?: { _instanceMap?: Hosts } };
  const hosts = TransactionHost?._instanceMap;
  if (typeof hosts?.values !== 'function') throw unknownVersion();
  return hosts;
}

function isKnown({ cls, setTxInstance }: Partial<TransactionHost>): boolean {
  return typeof cls?.run === 'function' && typeof setTxInstance === 'function';
}

function unknownVersion(): IdempotencyConfigurationError {
  return wrongOption(
    'TransactionHost of @nestjs-cls/transactional',
    'a version that TypeOrmStore does not know',
    '@nestjs-cls/transactional 2.7 or newer, or 3',
    'Install one of these versions, so that its transactions and those of operations are one.',
  );
}
