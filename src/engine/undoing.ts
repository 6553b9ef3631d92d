import { attempt, Failure } from './awaitable.js';
import type { OwnersEvent } from './events.js';
import type { StoreCalls } from './store-calls.js';
import type { Asking } from './leased-claims.js';
import type { ClaimRef } from './store.js';
import { EndedTransactionError, type StoreTransaction } from './transaction.js';
import { acquire, refOf } from './transactional-asking.js';

/** For operators, on the record of an operation whose transaction has ended before its handler. */
const ENDED_EARLY =
  'The handler has ended the transaction of its operation itself (COMMIT, ROLLBACK, or a statement that commits, such ' +
  'as CREATE TABLE on MySQL), or it went on after the database had undone the transaction (a deadlock on MySQL). ' +
  'What it has written may be committed. A handler that catches the error of a deadlock must throw it, and write ' +
  'nothing more.';

export function heldFor(cause: unknown): OwnersEvent {
  return { type: 'held', reason: ENDED_EARLY, cause };
}

/** The reason within an error of {@link StoreCalls}; absent if the database did not answer in time. */
export function causeOf(failure: unknown): unknown {
  return (failure as { readonly cause?: unknown }).cause;
}

/** True if statements after the end of the transaction may be committed. */
export function hasGoneOn(failure: unknown): boolean {
  const ended = failure instanceof EndedTransactionError ? failure : causeOf(failure);
  return ended instanceof EndedTransactionError && !ended.isUndone;
}

/**
 * Holds the records of a transaction that was undone too early, on its own connection: committed with what the
 * work has written there since then, and under the lock that keeps other attempts away. Never throws.
 */
export async function holdHere(
  calls: StoreCalls,
  transaction: StoreTransaction,
  askings: readonly Asking[],
): Promise<void> {
  for (const asking of askings) {
    const again = await attempt(() => acquire(calls, transaction, asking));
    // A claim that was committed is still there, for holdCommitted().
    if (again instanceof Failure || again.outcome !== 'acquired') continue;
    const held = { ...refOf(asking), reason: ENDED_EARLY, ttlMs: asking.request.policy.ttlMs };
    await attempt(() => calls.call('hold', () => transaction.hold(held)));
  }
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
 * @returns why nothing could be undone, if a claim is committed and held now; else `undefined`
 */
export async function undoOrHold(
  calls: StoreCalls,
  transaction: StoreTransaction,
  askings: readonly Asking[],
): Promise<unknown> {
  const undone = await attempt(() => calls.call('rollback', () => transaction.undoWork()));
  const failure = undone instanceof Failure ? undone.cause : undefined;
  const wentOn = failure !== undefined && hasGoneOn(failure);
  if (wentOn) await holdHere(calls, transaction, askings);
  await rollBack(calls, transaction);
  // Without a cause the database did not answer in time: then nobody has ended anything.
  const cause = failure === undefined ? undefined : causeOf(failure);
  if (cause === undefined) return undefined;
  const claims = askings.map(refOf);
  const isHere = wentOn && (await isCommitted(calls, transaction, claims[0]!));
  return (await holdCommitted(calls, transaction, claims)) || isHere ? cause : undefined;
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
      (await transaction.holdCommitted?.({ ...claim, reason: ENDED_EARLY })) ?? false;
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
