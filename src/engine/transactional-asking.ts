import type { Asking } from './leased-claims.js';
import type { StoreCalls } from './store-calls.js';
import type { AcquireRequest, AcquireResult, ClaimRef } from './store.js';
import type { StoreTransaction, TransactionalStore } from './transaction.js';

/**
 * Claims end with the transaction, which renews their lease if it lasts longer. It only matters if a
 * handler ends the transaction itself and its process dies. In milliseconds.
 */
const LEASE_MS = 5 * 60 * 1000;

/** Asks for a record, in a transaction. */
export async function acquire(
  calls: StoreCalls,
  transaction: StoreTransaction,
  asking: Asking,
): Promise<AcquireResult> {
  return calls.acquire(acquireOf(asking), {}, transaction);
}

/** A duplicate must not wait with a connection in its hands: the first call may need one. */
export async function begin(calls: StoreCalls, { request }: Asking): Promise<StoreTransaction> {
  const { id, scope, transaction } = request;
  const connectWithinMs = calls.timeoutMs;
  const asked = { source: undefined, ...transaction, lockWaitMs: 0, scope, connectWithinMs };
  return calls.begin(
    'begin',
    id,
    (store) => (store as TransactionalStore).beginTransaction(asked),
    // Nobody waits for it any more: the caller has been refused.
    { whenLate: (late) => void late.rollback() },
  );
}

/** The request that a transaction gets for a record. */
function acquireOf({ request, owner }: Asking): AcquireRequest {
  const { id, fingerprint, policy, refuseUnknown, caller, scope, label } = request;
  const told = { scope, label, mustBeIssued: refuseUnknown !== undefined };
  return { id, owner, fingerprint, leaseMs: LEASE_MS, ttlMs: policy.ttlMs, ...told, ...caller };
}

/** The claim on a record, as the verbs of a transaction name it. */
export function refOf({ request, owner }: Asking): ClaimRef {
  return { id: request.id, owner };
}
