import { AsyncLocalStorage } from 'node:async_hooks';
import { unwatched } from './current-transaction.js';
import type { SqlConnection, SqlExecutor } from './executor.js';

/** Makes a transaction fail, so that its work is undone. */
const UNDONE = new Error('The work must be undone.');

/** A transaction of an executor that begins here and ends elsewhere. */
export interface OpenTransaction<Tx> {
  readonly connection: SqlConnection<Tx>;
  /** Runs code that sees what the data layer has put into its async context. */
  run<T>(work: () => T): T;
  /** @throws if nothing was committed, or if that is not known */
  commit(): Promise<void>;
  /** Never throws. */
  rollback(): Promise<void>;
}

export function openTransaction<Tx>(executor: SqlExecutor<Tx>): Promise<OpenTransaction<Tx>> {
  return new Promise((resolve, reject) => {
    let hasBegun = false;
    const work = (connection: SqlConnection<Tx>): Promise<void> => {
      // A data layer that tries again by itself would have the work in two transactions.
      if (hasBegun) return Promise.reject(UNDONE);
      hasBegun = true;
      return new Promise((commit, undo) =>
        resolve({
          connection,
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
    };
    const whole = unwatched(() => executor.transaction(work));
    whole.catch(reject);
  });
}
