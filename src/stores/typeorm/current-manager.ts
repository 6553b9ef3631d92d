import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';

/** Notices work that would leave a transaction. */
export interface Edge {
  /** False once the transaction has ended. */
  readonly isOpen: boolean;
  /** The transaction itself, if code that asks for a connection gets it; else `undefined`. */
  join(): QueryRunner | undefined;
  /** Notes that work is meant to be outside of the transaction. */
  leave(): void;
  /** Connects a runner that may not be the transaction's. */
  connect(runner: QueryRunner, connect: () => Promise<unknown>): Promise<unknown>;
}

/** The transaction that code runs in. */
interface Current {
  readonly dataSource: DataSource;
  readonly manager: EntityManager;
  readonly edge?: Edge;
  /** The transaction of another data source around this one. */
  readonly outer?: Current;
}

/** Shared by all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:typeorm-transaction');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<Current | undefined> };
const storage = ((globalThis as Shared)[STORAGE] ??= new AsyncLocalStorage<Current | undefined>());

/**
 * The manager to write with. In a handler with `transaction: true`, it is the manager of its
 * transaction; elsewhere, the data source's. Repositories and services can use it to take part in
 * the transaction without getting a manager passed.
 *
 * @example
 * await currentManager(this.dataSource).save(payment);
 */
export function currentManager(dataSource: DataSource): EntityManager {
  return currentOf(dataSource)?.manager ?? dataSource.manager;
}

/**
 * Runs code that is meant to be outside the transaction of the operation, such as a note that has
 * to stay when the operation is undone. It gets another connection, and `currentManager()` is that
 * of the data source.
 *
 * @example
 * await outsideTransaction(() => this.attempts.insert({ account }));
 */
export function outsideTransaction<T>(work: () => T): T {
  for (let current = storage.getStore(); current !== undefined; current = current.outer)
    current.edge?.leave();
  return storage.run(undefined, work);
}

/** The data source of the innermost transaction that the current code runs in. */
export function currentDataSource(): DataSource | undefined {
  return storage.getStore()?.dataSource;
}

/** The edge of the transaction of this data source that the current code runs in. */
export function currentEdge(dataSource: DataSource): Edge | undefined {
  return currentOf(dataSource)?.edge;
}

export function runWithManager<T>(current: Current, work: () => T): T {
  const outer = storage.getStore();
  return storage.run(outer === undefined ? current : { ...current, outer }, work);
}

function currentOf(dataSource: DataSource): Current | undefined {
  let current = storage.getStore();
  while (current !== undefined && current.dataSource !== dataSource) current = current.outer;
  return current;
}

/** The part of `TransactionHost` that is used. It has no public way to pass it a transaction. */
export interface TransactionHost {
  /** The manager of the transaction, or else of the data source; with other adapters, anything. */
  readonly tx: Partial<EntityManager> | null | undefined;
  readonly cls: { run<T>(options: { ifNested: 'inherit' }, work: () => T): T };
  setTxInstance(manager: EntityManager): void;
}

type Hosts = Pick<ReadonlyMap<unknown, TransactionHost>, 'values'>;

const NONE: Hosts = new Map();

let loading: Promise<Hosts> | undefined;

/**
 * The hosts of `@nestjs-cls/transactional` whose adapter uses this data source, whatever the names
 * of their connections. None in an application without that package.
 *
 * @throws {@link IdempotencyConfigurationError} for hosts of an unknown version
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
  // A separate context, as for every `@Transactional()`, so that concurrent operations do not mix.
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
    'Install one of these versions, so that its transactions can be those of operations.',
  );
}
