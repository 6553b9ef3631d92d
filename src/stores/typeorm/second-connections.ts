import type { DataSource, QueryRunner } from 'typeorm';
import type { SecondConnection } from '../../engine/transaction.js';
import { currentEdge, type Edge } from './current-manager.js';

/** What is known about the transaction whose edge this is. */
interface EdgeOptions {
  /** What happens to work that would leave it. */
  readonly policy: SecondConnection;
  /** What messages call the operation. */
  readonly scope: string;
  /** How long its work may wait for a second connection, in milliseconds. */
  readonly connectWithinMs: number;
  readonly warn: (scope: string, warning: string) => void;
}

const REMEDY =
  'Write with op.manager or currentManager(dataSource), or let secondConnection: ' +
  "'join' make repositories and the data source part of the transaction.";
const IF_MEANT =
  "If this is intended, put it into outsideTransaction(), or set secondConnection: 'allow'.";

/** How long work waits for a second connection if nobody says so, in milliseconds. */
export const CONNECT_WITHIN_MS = 2_000;

const MOST_WARNINGS = 1_000;

/** Warns once per handler. */
export class Warnings {
  private readonly scopes = new Set<string>();

  constructor(private readonly warn: (warning: string) => void) {}

  readonly once = (scope: string, warning: string): void => {
    if (this.scopes.has(scope)) return;
    // Limited, because the scopes of `run()` may be made up.
    if (this.scopes.size < MOST_WARNINGS) this.scopes.add(scope);
    this.warn(warning);
  };
}

/** Code in a transaction asked for a connection that it may not have, or did not get. */
class SecondConnectionError extends Error {
  override readonly name = 'SecondConnectionError';
}

/**
 * The edge of one transaction. It notices work that uses the same data source beside the
 * transaction: that work is not undone with it, does not see it, and needs another connection of
 * the pool while the transaction holds one.
 */
export class TransactionEdge implements Edge {
  isOpen = true;
  private shared: QueryRunner | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
    private readonly options: EdgeOptions,
  ) {}

  /** The transaction itself, for code that asks the data source for a connection. */
  join(): QueryRunner | undefined {
    if (!this.isOpen || this.options.policy !== 'join') return undefined;
    return (this.shared ??= withoutRelease(this.runner));
  }

  /** Connects a runner that is not the transaction's, if it may. */
  connect(runner: QueryRunner, connect: () => Promise<unknown>): Promise<unknown> {
    if (!this.isOpen || runner === this.runner) return connect();
    const { scope, policy, warn, connectWithinMs } = this.options;
    if (policy === 'refuse') return Promise.reject(this.refused());
    if (policy !== 'allow') {
      warn(
        scope,
        `${scope} uses a second connection beside its transaction: what it writes there stays when ` +
          'the operation is undone, and what it reads there does not contain what the operation ' +
          `has written. ${REMEDY} ${IF_MEANT} Logged once per handler.`,
      );
    }
    if (isConnected(runner)) return connect();
    return isPoolOfOne(this.dataSource)
      ? Promise.reject(waitsForItself())
      : connectWithin(runner, connect, connectWithinMs, () => this.notInTime());
  }

  private refused(): Error {
    return new SecondConnectionError(
      `${this.options.scope} asked for a second connection beside its transaction, and ` +
        `secondConnection is 'refuse'. ${REMEDY}`,
    );
  }

  private notInTime(): Error {
    const { scope, connectWithinMs } = this.options;
    return new SecondConnectionError(
      `${scope} asked for a second connection while its transaction holds one, and the pool had ` +
        `none within ${connectWithinMs} ms. If every operation needs two, a pool can be used up ` +
        `by operations that wait for each other. ${REMEDY} Or use a larger pool.`,
    );
  }
}

function waitsForItself(): Error {
  return new SecondConnectionError(
    'This code runs in the transaction of an idempotent operation, which has the only ' +
      'connection of the pool, and asks for another one. It would wait for itself. Use ' +
      'op.manager or currentManager(dataSource), or a pool of more than one connection.',
  );
}

/**
 * For statements of the store itself, which belong to no transaction.
 *
 * @throws if the current code has the only connection
 */
export function checkReachable(dataSource: DataSource): void {
  if (currentEdge(dataSource)?.isOpen === true && isPoolOfOne(dataSource)) throw waitsForItself();
}

/** Shared by all copies of the package in the process. */
const GUARD = Symbol.for('nestjs-idempotency:typeorm-guard');
interface Guard {
  readonly dataSources: WeakSet<DataSource>;
  /** Set while the store makes a runner for itself. */
  isOwn: boolean;
}
type Shared = typeof globalThis & { [GUARD]?: Guard };
const guard = ((globalThis as Shared)[GUARD] ??= { dataSources: new WeakSet(), isOwn: false });

/** A runner for the store itself, which no edge notices. */
export function ownRunner(dataSource: DataSource): QueryRunner {
  guard.isOwn = true;
  try {
    return dataSource.createQueryRunner('master');
  } finally {
    guard.isOwn = false;
  }
}

/**
 * From now on, edges notice what uses the data source. Repositories, managers, query builders and
 * `query()` all get their connection from `createQueryRunner()`.
 */
export function guardConnections(dataSource: DataSource): void {
  if (guard.dataSources.has(dataSource)) return;
  guard.dataSources.add(dataSource);
  const create = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => {
    if (guard.isOwn) return create(mode);
    const joined = currentEdge(dataSource)?.join();
    if (joined !== undefined) return joined;
    const runner = create(mode);
    // Every statement connects first, even on a runner that already has its connection.
    const connect = runner.connect.bind(runner) as () => Promise<unknown>;
    runner.connect = () => {
      const edge = currentEdge(dataSource);
      return edge === undefined ? connect() : edge.connect(runner, connect);
    };
    return runner;
  };
}

/** Whoever takes a runner for a statement releases it afterwards; the transaction goes on. */
function withoutRelease(runner: QueryRunner): QueryRunner {
  return new Proxy(runner, {
    get(target, name) {
      if (name === 'release') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

function isConnected(runner: QueryRunner): boolean {
  return (runner as { readonly databaseConnection?: unknown }).databaseConnection !== undefined;
}

function isPoolOfOne({ driver }: DataSource): boolean {
  const { master, pool } = driver as {
    master?: { options?: { max?: number } };
    pool?: { config?: { connectionLimit?: number } };
  };
  return master?.options?.max === 1 || pool?.config?.connectionLimit === 1;
}

/** A connection that comes too late goes back to the pool at once. */
function connectWithin(
  runner: QueryRunner,
  connect: () => Promise<unknown>,
  withinMs: number,
  notInTime: () => Error,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(notInTime());
    }, withinMs);
    timer.unref();
    connect().then(
      (connection) => {
        clearTimeout(timer);
        if (isLate) giveBack(runner);
        else resolve(connection);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/** TypeORM keeps a connection that arrives after its runner was released. */
function giveBack(runner: QueryRunner): void {
  (runner as { isReleased: boolean }).isReleased = false;
  void runner.release().catch(() => undefined);
}
