import type { Awaitable } from './awaitable.js';
import type { Undone } from './refusals.js';
import type { Steps } from './store.js';
import type { OperationManager } from './transaction.js';

/** What came of settling an operation. */
export type Settlement =
  /** The reply is on record and may be sent. */
  | { readonly outcome: 'stored' }
  /** The store failed. Recording continues in the background, and the reply may be sent. */
  | { readonly outcome: 'deferred' }
  /** The store failed. Recording continues in the background, and the reply must not be sent. */
  | { readonly outcome: 'unrecorded'; readonly cause: unknown }
  /** Another owner finished first: its reply is the operation's. */
  | { readonly outcome: 'superseded'; readonly reply: Uint8Array }
  /** The claim was lost and there is no reply. Nothing was changed. */
  | { readonly outcome: 'lost' }
  /** The transaction failed: neither work nor record exists, or both do if only the answer was lost. */
  | { readonly outcome: 'undone'; readonly cause: unknown; readonly why: Undone }
  /**
   * The database refused to commit the work, which is the work's own failure: nothing of it exists.
   * `fail`, `hold` or `release` comes next, as for a handler that has failed.
   */
  | { readonly outcome: 'failed'; readonly error: unknown };

/** What the failure of the last attempt means. */
export type LastDecision = 'hold' | 'store' | 'reject';

/** What says that a step has finished, where its result is too large for the store. */
export interface StepTombstone {
  readonly value: Uint8Array;
  /** Called when it was saved. */
  used(): void;
}

export interface SaveStepOptions {
  readonly orFail?: boolean;
  readonly tombstone?: StepTombstone;
}

/** The owner's side of an operation: alive until it is completed, released or held, once. */
export interface Claim {
  /** The record's id. */
  readonly id: string;
  readonly attempt: number;
  readonly fencingToken: number;
  /** What a failure means, if this is the last attempt that `maxAttempts` allows. */
  readonly ifFails: LastDecision | undefined;
  /** Steps that earlier attempts finished. */
  readonly steps: Steps;
  /** True until the claim is completed, released or held. */
  readonly isRunning: boolean;
  /** False for a lock: there is no record to keep a reply in. */
  readonly keepsReply: boolean;
  /** Aborted when the claim is lost, because another owner may be running. */
  readonly signal: AbortSignal;
  /**
   * Whether this owner still has the claim. Costs nothing while the lease lasts. Once it has
   * expired by the owner's own clock, the store is asked: that is how a process finds out that it
   * was paused.
   *
   * @throws when the store does not answer
   */
  confirm(): Awaitable<boolean>;
  /** The handler begins to run. */
  handOver(): void;
  /** What work in a transaction writes with; absent without one. */
  readonly manager?: OperationManager | undefined;
  /** Runs the work, within the transaction if there is one. */
  run<T>(work: () => T): T;
  /**
   * Has the database check what it would otherwise check when the work is committed. Absent where
   * nothing is put off until then.
   *
   * @throws the work's own error
   */
  readonly checkWork?: (() => Promise<void>) | undefined;
  /**
   * True for an error with which the database has undone the work, or will, because others changed the same
   * data. Absent without a transaction.
   */
  isConflict?(error: unknown): boolean;
  /**
   * True once the work has done something that is not undone with its transaction, or that nobody can know
   * of. Then only its caller may repeat it.
   */
  readonly hasReachedOut?: boolean;
  /** The work is about to do such a thing. */
  reachOut?(): void;
  /** Changes how long the reply will be kept, in milliseconds. */
  setTtl(ttlMs: number): void;
  /** Records the reply. Do not send the reply before this has settled. */
  complete(reply: Uint8Array): Awaitable<Settlement>;
  /**
   * Records the reply of an operation that failed. If there is a transaction, what the operation
   * wrote is undone.
   */
  fail(reply: Uint8Array): Awaitable<Settlement>;
  /** Releases the claim of an attempt that has failed, so that the next call runs. Finished steps stay. */
  release(): Awaitable<void>;
  /**
   * Like {@link release}, for an attempt that has not failed: nothing was run, or it could not run yet.
   * It does not count.
   */
  withdraw(): Awaitable<void>;
  /**
   * Releases the claim of an operation that goes on later: it has neither failed nor ended, so the
   * attempt does not count. Unlike {@link release}, this keeps what was written in a transaction.
   *
   * @throws if the transaction cannot be committed
   */
  giveBack(): Awaitable<void>;
  /**
   * Deletes what this claim has recorded, although it was completed: its message will come again, and
   * has to run then. Resolves when nothing is on record any more, however long the store fails.
   *
   * @throws if what was done cannot be repeated: a row was compared and set
   */
  takeBack(): Promise<void>;
  /**
   * Holds the operation until an operator settles it. `lost`: this owner no longer had the claim.
   *
   * @param error what it is held for; the record keeps its name and its message, without values
   */
  hold(reason: string, error?: unknown): Awaitable<Settlement>;
  /**
   * Remembers the result of a finished step. `false`: the claim is lost. If the store fails, saving
   * is retried before the claim is released, because the step must not run twice.
   *
   * @param options `orFail` for a result that must be on record before it is used: if the store
   *   fails, this throws, and nothing is saved later; `tombstone` for what is saved instead of a result that the
   *   store does not take
   */
  saveStep(name: string, value: Uint8Array, options?: SaveStepOptions): Awaitable<boolean>;
}
