import { attempt, Failure } from './awaitable.js';
import type { OwnersEvent } from './events.js';
import type { StoreCalls } from './store-calls.js';
import type { ClaimRef } from './store.js';
import type { StoreTransaction } from './transaction.js';

/** For operators, on the record of an operation whose handler has ended its transaction. */
const ENDED_BY_HANDLER =
  'The handler has ended the transaction of its operation itself (COMMIT, or a statement that commits, such as ' +
  'CREATE TABLE on MySQL), and then the operation failed. What it had written by then may be committed.';

export function heldFor(cause: unknown): OwnersEvent {
  return { type: 'held', reason: ENDED_BY_HANDLER, cause };
}

/**
 * Undoes a transaction, so that a client that retries at once finds the key free. If the database
 * does not answer in time, nobody waits for it: it rolls back once it answers again.
 */
export async function rollBack(calls: StoreCalls, transaction: StoreTransaction): Promise<void> {
  await attempt(() => calls.call('rollback', () => transaction.rollback()));
}

/**
 * Undoes a transaction with claims, and finds out whether its handler has ended it before: then the
 * savepoint after the claim is gone. What was committed by then cannot be undone, so the operation must
 * not simply run again.
 *
 * @returns why nothing could be undone, if a claim was committed and is held now; else `undefined`
 */
export async function undoOrHold(
  calls: StoreCalls,
  transaction: StoreTransaction,
  claims: readonly ClaimRef[],
): Promise<unknown> {
  const undone = await attempt(() => calls.call('rollback', () => transaction.undoWork()));
  await rollBack(calls, transaction);
  if (!(undone instanceof Failure)) return undefined;
  const { cause } = undone.cause as { readonly cause?: unknown };
  // Absent if the database did not answer in time: then nobody has ended anything.
  if (cause === undefined) return undefined;
  return (await holdCommitted(calls, transaction, claims)) ? cause : undefined;
}

/** Holds the claims of a transaction that has failed although somebody had committed it. */
export async function holdCommitted(
  calls: StoreCalls,
  transaction: StoreTransaction,
  claims: readonly ClaimRef[],
): Promise<boolean> {
  let isHeld = false;
  for (const claim of claims) {
    const hold = async (): Promise<boolean> =>
      (await transaction.holdCommitted?.({ ...claim, reason: ENDED_BY_HANDLER })) ?? false;
    if ((await attempt(() => calls.call('hold', hold))) === true) isHeld = true;
  }
  return isHeld;
}

/** Whether a claim is settled although the answer of the commit, or of a verb before it, was lost. */
export async function isCommitted(
  calls: StoreCalls,
  transaction: StoreTransaction,
  claim: ClaimRef,
): Promise<boolean> {
  const look = async (): Promise<boolean> => (await transaction.isCommitted?.(claim)) ?? false;
  return (await attempt(() => calls.call('find', look))) === true;
}
