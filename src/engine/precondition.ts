import type { Awaitable } from './awaitable.js';
import type { IdempotencyErrorCode } from './refusals.js';
import type { WorkTransactions } from './work-transaction.js';

/** Why the work may not begin. */
export interface Unmet {
  readonly code: IdempotencyErrorCode;
  /** Replaces the status of the table, where the form of the call decides it. */
  readonly status?: number;
  /** Replaces the advice of the table where more is known. */
  readonly detail?: string;
  /** More members for the problem details, such as the current state. */
  readonly members?: Readonly<Record<string, string | number>>;
}

/** What has to be true before the work may begin. Made for one call. */
export interface Precondition {
  /** Asked by the owner, within the transaction. A refusal gives the claim back. */
  check(): Awaitable<Unmet | undefined>;
  /** The last part of work that succeeded, within the transaction. */
  conclude?(): Awaitable<void>;
  /** Where the work's transaction comes from when the store's records cannot be part of one. */
  readonly transactions?: WorkTransactions;
}
