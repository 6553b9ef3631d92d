import { attempt } from './attempt.js';
import type { StoreCalls } from './store-calls.js';
import type { StoreTransaction } from './transaction.js';

/**
 * Undoes a transaction, so that a client that retries at once finds the key free. A database that
 * does not answer in time is not waited for: it does that when it answers again.
 */
export async function rollBack(calls: StoreCalls, transaction: StoreTransaction): Promise<void> {
  await attempt(() => calls.call('rollback', () => transaction.rollback()));
}
