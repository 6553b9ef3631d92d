import { AsyncLocalStorage } from 'node:async_hooks';
import type { OperationTransaction } from '../../engine/transaction.js';
import type { SqlExecutor } from './executor.js';

interface Current {
  readonly executor: SqlExecutor;
  readonly tx: unknown;
  /** False once it has been committed or rolled back. */
  readonly isOpen: () => boolean;
}

/** Shared by all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:sql-transaction');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<Current> };
const storage = ((globalThis as Shared)[STORAGE] ??= new AsyncLocalStorage<Current>());

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
  const current = storage.getStore();
  if (current === undefined || !current.isOpen()) return undefined;
  if (of === undefined) return current.tx;
  const executor = 'executor' in of ? of.executor : of;
  return current.executor === executor ? current.tx : undefined;
}

/** True while the current code runs in a transaction of this executor. */
export function isInTransaction(executor: SqlExecutor): boolean {
  return currentTransaction(executor) !== undefined;
}

export function runInTransaction<T>(current: Current, work: () => T): T {
  return storage.run(current, work);
}
