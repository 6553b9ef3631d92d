import type { Awaitable, ClaimLimits, Steps } from './store.js';
import type { IdempotencyErrorCode } from './refusals.js';
import type { Claim, LastDecision } from './claim.js';
import type { Precondition, Unmet } from './resource.js';
import type { SecondConnection } from './transaction.js';

/** What a takeover of an abandoned operation means: run again, or wait for an operator. */
export type AbandonedDecision = 'rerun' | 'hold';

/** How often an operation may be attempted. */
export interface AttemptLimit {
  readonly times: number;
  /**
   * Afterwards the operation is held, or its last failure is its result. `reject` leaves the record
   * as it is, and refuses every later call until the record expires.
   */
  readonly afterwards: LastDecision;
}

/** How one kind of operation is treated. Complete, read-only, made at boot. */
export interface OperationPolicy {
  /** Name of the strategy; events carry it. */
  readonly strategy: string;
  /** How long a claim lasts after its owner stops renewing it, in milliseconds. */
  readonly leaseMs: number;
  /** How long a finished operation is answered from its record, in milliseconds. */
  readonly ttlMs: number;
  /** How long a duplicate waits for the first call's reply, in milliseconds; 0 does not wait. */
  readonly waitMs: number;
  /** What a refused caller is told to wait, in milliseconds. */
  readonly retryAfterMs: number;
  readonly onDuplicate: 'replay' | 'reject';
  readonly onAbandoned: AbandonedDecision;
  readonly onStoreFailure: 'reject' | 'proceed';
  readonly onRecordFailure: 'defer' | 'fail';
  /** False for a lock: nothing is recorded, and the next call runs. */
  readonly keepsReply: boolean;
  /** True for a lock, which a lock service keeps if there is one. */
  readonly isLock?: boolean;
  /** Absent if there is no limit. */
  readonly maxAttempts?: AttemptLimit;
  /** How often a call runs again whose transaction had to make way for others; absent for never. */
  readonly conflictRetries?: number;
}

/** What the failure of this attempt means, if it is the last one. */
export function lastDecision(policy: OperationPolicy, attempt: number): LastDecision | undefined {
  const { maxAttempts, keepsReply } = policy;
  if (maxAttempts === undefined || !keepsReply || attempt < maxAttempts.times) return undefined;
  return maxAttempts.afterwards;
}

/** An operation whose last owner stopped renewing its lease. */
export interface AbandonedOperation {
  /** The attempt that is about to run. The abandoned attempt is the one before. */
  readonly attempt: number;
  readonly steps: Steps;
}

/** The transaction of record and work. */
export interface OperationTransaction {
  /** Name of the data source; absent for the store's own. */
  readonly source: string | undefined;
  /** Absent for `allow`. */
  readonly secondConnection?: SecondConnection;
}

/** Whose call it is, and how much that caller may have. */
export interface CountedCaller {
  /** See {@link ClaimRef.bucket}. */
  readonly bucket: string;
  readonly limits: ClaimLimits;
}

/** One call, ready for the engine. */
export interface OperationRequest {
  /** See {@link ClaimRef.id}. */
  readonly id: string;
  readonly scope: string;
  /** What the application calls the operation, for operators. */
  readonly label?: string | undefined;
  readonly fingerprint: string;
  /**
   * True if a record with another fingerprint is still that of this operation. Then the record's
   * fingerprint takes the place of the request's. Absent: no such record is.
   */
  readonly accepts?: (recorded: string) => boolean;
  readonly policy: OperationPolicy;
  /** The least time that a finished record is kept, in milliseconds; absent for 0. */
  readonly leastTtlMs?: number;
  /**
   * Asked before an abandoned operation runs again. Returns the encoded reply to record if it found
   * out the outcome.
   */
  readonly recover?: (abandoned: AbandonedOperation) => Awaitable<AbandonedDecision | Uint8Array>;
  /** If given, record and work are one transaction. */
  readonly transaction?: OperationTransaction;
  /** The claim of an outer layer. The record becomes part of its transaction. */
  readonly within?: Claim;
  /** False once nobody waits for the answer any more. Such a call claims nothing. */
  readonly isWanted?: () => boolean;
  /**
   * True once the code that waited for the answer has continued without it. Then nothing may run
   * for it.
   */
  readonly isLeft?: () => boolean;
  /**
   * If given, only a record that was issued before may be claimed. Otherwise this is the refusal.
   */
  readonly refuseUnknown?: IdempotencyErrorCode;
  readonly precondition?: Precondition;
  /** Absent where callers are not limited. */
  readonly caller?: CountedCaller;
}

/** Run the handler, then settle the claim. */
export interface Execute {
  readonly outcome: 'execute';
  readonly claim: Claim;
}

/** Answer with this reply. */
export interface Replay {
  readonly outcome: 'replay';
  readonly reply: Uint8Array;
}

/** Answer with this refusal. */
export interface Refused {
  readonly outcome: 'refused';
  readonly code: IdempotencyErrorCode;
  /** Only if a retry with the same key may succeed. In milliseconds. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  /** What an unmet precondition says beyond its code. */
  readonly unmet?: Unmet;
}

/** Run the handler without protection: the store failed, and the policy says to proceed. */
export interface Unprotected {
  readonly outcome: 'unprotected';
}

export type Beginning = Execute | Replay | Refused | Unprotected;
