import { AsyncLocalStorage } from 'node:async_hooks';
import type { OperationManager } from './transaction.js';

/** A transaction of the work alone: the record is not part of it. */
export interface WorkTransaction {
  /** What the work writes with, where it has such a thing. */
  readonly manager?: OperationManager;
  /** Runs code within the transaction. */
  run<T>(work: () => T): T;
  /** @throws when nothing of the work is there, or when that is not known */
  commit(): Promise<void>;
  /** Never throws. */
  rollback(): Promise<void>;
}

export interface WorkTransactions {
  begin(): Promise<WorkTransaction>;
}

/** Runs `work` within a transaction: commits when it resolves, rolls back when it rejects. */
export type RunInTransaction = <T>(work: (manager?: OperationManager) => Promise<T>) => Promise<T>;

/** What a transaction is made to fail with when its work is to be undone. */
const UNDONE = new Error('The work is undone.');

/** Turns a transaction that runs a function into one that begins here and ends elsewhere. */
export function beginWork(transaction: RunInTransaction): Promise<WorkTransaction> {
  return new Promise((resolve, reject) => {
    let whole: Promise<void>;
    const work = (manager?: OperationManager): Promise<void> =>
      new Promise((commit, undo) =>
        resolve({
          manager,
          // Whatever the transaction has put into its context is there for the work as well.
          run: AsyncLocalStorage.snapshot(),
          async commit() {
            commit();
            await whole;
          },
          async rollback() {
            undo(UNDONE);
            await whole.catch(() => undefined);
          },
        }),
      );
    whole = transaction(work);
    whole.catch(reject);
  });
}
