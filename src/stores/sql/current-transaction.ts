import { AsyncLocalStorage } from 'node:async_hooks';
import type { OperationTransaction } from '../../engine/transaction.js';
import type { SqlConnection, SqlExecutor } from './executor.js';
import type { TransactionEdge } from './transaction-edge.js';

interface Current {
  readonly executor: SqlExecutor;
  readonly tx: unknown;
  /** Absent where an older copy of the package has begun it. */
  readonly connection?: SqlConnection;
  /** False once it has been committed or rolled back. */
  readonly isOpen: () => boolean;
  readonly edge: Pick<TransactionEdge, 'cross' | 'isCrossed'>;
  /** The transaction of another executor around this one. */
  readonly outer?: Current | undefined;
}

/** Shared by all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:sql-transaction');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<Current | undefined> };
const storage = ((globalThis as Shared)[STORAGE] ??= new AsyncLocalStorage<Current | undefined>());

/** What {@link currentTransaction} may be asked about: a store, or its executor. */
export interface HasTransactions<Tx> {
  readonly executor: SqlExecutor<Tx>;
}

/**
 * The transaction of the operation that the current code is part of: with `transaction: true` what
 * `op.tx` is, elsewhere `undefined`. Services and repositories can use it to take part in the
 * transaction without getting it passed. `undefined` also once the operation has ended.
 *
 * @param of an executor, or the store over it: then only a transaction of that one, with its type
 * @example
 * const db = currentTransaction(executor) ?? this.db;
 */
export function currentTransaction(): OperationTransaction | undefined;
export function currentTransaction<Tx>(of: SqlExecutor<Tx> | HasTransactions<Tx>): Tx | undefined;
export function currentTransaction(of?: SqlExecutor | HasTransactions<unknown>): unknown {
  if (of === undefined) return open(() => true)?.tx;
  return currentOf('executor' in of ? of.executor : of)?.tx;
}

/**
 * Runs code that is meant to be outside the transaction of the operation, such as a note that has
 * to stay when the operation is undone. It gets another connection, and `currentTransaction()` is
 * `undefined`.
 *
 * @example
 * await outsideTransaction(() => db.insert(attempts).values({ account }));
 */
export function outsideTransaction<T>(work: () => T): T {
  for (let current = storage.getStore(); current !== undefined; current = current.outer)
    current.edge.isCrossed = true;
  return unwatched(work);
}

/** As {@link outsideTransaction}, for statements of the store itself. */
export function unwatched<T>(work: () => T): T {
  if (storage.getStore() === undefined) return work();
  return storage.run(undefined, () => {
    const result = work();
    // A query of Prisma, Knex or Drizzle is sent when somebody waits for it. That has to be here.
    return isLazy(result) ? (Promise.resolve(result) as T) : result;
  });
}

function isLazy(result: unknown): result is PromiseLike<unknown> {
  const { then } = (result ?? {}) as { then?: unknown };
  return typeof then === 'function' && !(result instanceof Promise);
}

/** True while the current code runs in a transaction of this executor. */
export function isInTransaction(executor: SqlExecutor): boolean {
  return currentOf(executor) !== undefined;
}

/** The connection of the transaction of this executor that the current code runs in. */
export function connectionOf(executor: SqlExecutor): SqlConnection | undefined {
  return currentOf(executor)?.connection;
}

/** The edge of the transaction of this executor that the current code runs in. */
export function currentEdge(executor: SqlExecutor): Current['edge'] | undefined {
  return currentOf(executor)?.edge;
}

/** The transaction that the current code runs in, to be passed on as {@link Current.outer}. */
export function outerTransaction(): Current | undefined {
  return storage.getStore();
}

export function runInTransaction<T>(current: Current, work: () => T): T {
  return storage.run(current, work);
}

function currentOf(executor: SqlExecutor): Current | undefined {
  return open((current) => current.executor === executor);
}

function open(isWanted: (current: Current) => boolean): Current | undefined {
  let current = storage.getStore();
  while (current !== undefined && !(current.isOpen() && isWanted(current))) current = current.outer;
  return current;
}
