import type { Awaitable } from './awaitable.js';

export type { Awaitable };

/** What a record is doing. `released` keeps the attempt number and the steps, nothing else. */
export type RecordState = 'issued' | 'in-flight' | 'released' | 'completed' | 'held';

/** Results of finished steps, by the name of the step. */
export type Steps = ReadonlyMap<string, Uint8Array>;

/** Names the record and the claim on it. A claim is alive while `owner` matches and the lease runs. */
export interface ClaimRef {
  /** `sha256(scope, principal, key)` in hexadecimal: the only form of a key that a store sees. */
  readonly id: string;
  /** Unique to one claim; never used twice. */
  readonly owner: string;
}

/** Asks to become the owner of a record. */
export interface AcquireRequest extends ClaimRef {
  /** Digest of what a retry must repeat; the empty string matches everything. */
  readonly fingerprint: string;
  /** How long the claim survives its owner's silence, in milliseconds. */
  readonly leaseMs: number;
  /** How long attempt number, fingerprint and steps outlive the lease, in milliseconds. */
  readonly ttlMs: number;
  /** Claim only a record that was issued before (a token); absent counts as `unknown`. */
  readonly mustBeIssued?: boolean;
  /**
   * The fencing token has to be greater than this, the greatest that the caller knows: the store's
   * clock, from which tokens are made, may have been set back.
   */
  readonly aboveToken?: number;
}

/** The caller now owns the record and must complete, release or hold it. */
export interface Acquired {
  readonly outcome: 'acquired';
  /** 1 for the first claim of the record, one more for each later one. */
  readonly attempt: number;
  /**
   * Grows with every claim of this id, also after the record was forgotten, and is greater than
   * {@link AcquireRequest.aboveToken}.
   */
  readonly fencingToken: number;
  /** True when the claim before this one ran out of its lease: nobody knows what it did. */
  readonly abandoned: boolean;
  readonly steps: Steps;
}

/** The operation has finished: this is its reply. */
export interface Completed {
  readonly outcome: 'completed';
  readonly reply: Uint8Array;
}

/** Somebody else owns the record. */
export interface InFlight {
  readonly outcome: 'in-flight';
  /** Until the lease of the present owner ends unless it is renewed, in milliseconds. */
  readonly leaseRemainingMs: number;
}

/** The record belongs to other content. Told before anything else about the record. */
export interface Mismatch {
  readonly outcome: 'mismatch';
  /** The record's. */
  readonly fingerprint: string;
}

/** The outcome is not known; an operator has to settle it. */
export interface Held {
  readonly outcome: 'held';
  readonly reason: string;
}

/** Only with `mustBeIssued`: there is no such record. */
export interface Unknown {
  readonly outcome: 'unknown';
}

/** There is a record, but what it keeps cannot be opened: a key is gone, or somebody changed it. */
export interface Unreadable {
  readonly outcome: 'unreadable';
  readonly cause: unknown;
  /** The claim that was made all the same, to be given back; absent when there is none. */
  readonly claimed: Acquired | undefined;
}

/** Every answer that leaves the record with somebody else. */
export type Refusing = Completed | InFlight | Mismatch | Held | Unknown | Unreadable;

/** The record is the caller's, or somebody else's. */
export type AcquireResult = Acquired | Refusing;

/** What a store knows itself; that content cannot be opened is known to whoever opens it. */
export type StoredOutcome = Exclude<AcquireResult['outcome'], 'unreadable'>;

/** Asks for the lease to start anew. */
export interface ExtendRequest extends ClaimRef {
  /** The new lease, counted from now, in milliseconds. */
  readonly leaseMs: number;
  /** As in {@link AcquireRequest.ttlMs}. */
  readonly ttlMs: number;
}

/** Hands over the reply of a finished operation. */
export interface CompleteRequest extends ClaimRef {
  readonly reply: Uint8Array;
  /** How long the reply is kept, in milliseconds from now. */
  readonly ttlMs: number;
  /** `held` settles a held record (its `owner` comes from `find`); absent means `in-flight`. */
  readonly from?: 'in-flight' | 'held';
}

/** Gives a claim back. */
export interface ReleaseRequest extends ClaimRef {
  /** How long attempt number and steps are kept, in milliseconds from now. */
  readonly ttlMs: number;
  /** As in {@link CompleteRequest.from}. */
  readonly from?: 'in-flight' | 'held';
}

/** Puts an operation into an operator's hands. */
export interface HoldRequest extends ClaimRef {
  /** Shown to operators. Never to clients. */
  readonly reason: string;
}

/** Hands over the result of a finished step. */
export interface SaveStepRequest extends ClaimRef {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Asks for a record that may be claimed later. */
export interface IssueRequest {
  readonly id: string;
  /** How long the record may be claimed, in milliseconds from now. */
  readonly ttlMs: number;
}

/** What `find` tells about a record that has not expired. */
export interface RecordView {
  readonly id: string;
  readonly state: RecordState;
  /** The present or last owner; empty for a record that was only issued. */
  readonly owner: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly fingerprint: string;
  readonly steps: Steps;
  /** Only when `completed`. */
  readonly reply?: Uint8Array;
  /** Only when `held`. */
  readonly reason?: string;
  /** Only when `in-flight`: milliseconds until the lease ends; zero or less when it ran out. */
  readonly leaseRemainingMs?: number;
  /** Why replies and results of steps could not be opened; they are absent, or not to be used, then. */
  readonly unreadable?: unknown;
  /** Milliseconds until the record is forgotten; absent when it is kept until someone settles it. */
  readonly ttlRemainingMs?: number;
}

/**
 * Where records live. Every verb is one atomic step.
 *
 * The numbered guarantees that an implementation must keep are the contract suite in
 * `nestjs-idempotency/testing`; run it against a real server.
 *
 * - Expiry is decided by the store's clock when a record is looked at, never by a purge.
 * - A record is forgotten when its ttl has passed; a `held` one never is.
 * - A verb that fails throws. It may have written all the same: the engine repeats
 *   `complete`, `release` and `hold`, and gives back a claim whose answer got lost.
 */
export interface IdempotencyStore {
  /**
   * Claims a record that is free, released, issued, or whose lease ran out.
   *
   * An in-flight, completed or held record is left as it is and reported. Another
   * fingerprint than the record's is a `mismatch`, also when the lease ran out. A released
   * record without steps takes the new fingerprint and starts again at attempt 1 when that
   * differs; with steps it stays bound to its fingerprint.
   */
  acquire(request: AcquireRequest): Awaitable<AcquireResult>;

  /** Starts the lease anew. `false`: the claim is no longer alive, nothing changed. */
  extend(request: ExtendRequest): Awaitable<boolean>;

  /**
   * Records the reply. `false`: the claim is no longer alive, nothing changed. Repeated by
   * the same owner it answers `true` and keeps the first reply.
   */
  complete(request: CompleteRequest): Awaitable<boolean>;

  /**
   * Gives the claim back: the next `acquire` wins at once, as the next attempt. `false`: the
   * claim is no longer alive, nothing changed.
   */
  release(request: ReleaseRequest): Awaitable<boolean>;

  /**
   * Stops everything on this record until an operator settles it. `false`: the claim is no
   * longer alive, nothing changed. Repeated by the same owner it answers `true`.
   */
  hold(request: HoldRequest): Awaitable<boolean>;

  /** Remembers a finished step over attempts. `false`: the claim is no longer alive. */
  saveStep(request: SaveStepRequest): Awaitable<boolean>;

  /** Writes an `issued` record. `false`: there is a record already, nothing changed. */
  issue(request: IssueRequest): Awaitable<boolean>;

  /** The record, or `undefined` when there is none or its ttl has passed. */
  find(id: string): Awaitable<RecordView | undefined>;

  /**
   * Deletes the record, unless its lease is alive. `true` when there was one to delete.
   */
  forget(id: string): Awaitable<boolean>;

  /**
   * Calls `onChange` when the record may have left `in-flight`. Optional: without it waiting
   * duplicates poll. May be called too often, must not be relied on for correctness.
   *
   * @returns a function that stops the watch
   */
  watch?(id: string, onChange: () => void): () => void;

  /** True when records are gone with the process. Such a store must be allowed in production. */
  readonly isVolatile?: boolean;

  /**
   * Called once when the application boots. A store that cannot be reached yet only warns.
   *
   * @throws for a server that can never keep records
   */
  start?(warn: (warning: string) => void): Awaitable<void>;

  /** Lets go of what the store itself opened. Called when the application shuts down. */
  close?(): Awaitable<void>;
}

/** A store whose records stay where they are after their ttl, until somebody deletes them. */
export interface PurgingStore {
  /** Deletes at most `limit` records whose ttl has passed; answers how many. */
  purgeExpired(limit: number): Awaitable<number>;
}

/** True for a store that has to be told to delete what has expired. */
export function isPurging(store: object): store is PurgingStore {
  return typeof (store as Partial<PurgingStore>).purgeExpired === 'function';
}

/**
 * Thrown by a store that has no room left for what it was given. A call that wants to begin is answered
 * 503, as for a store that is down; in the place of a reply the engine keeps a tombstone.
 */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
}

/** True for an error of this class, or one that was caused by it; also from another copy of this package. */
export function isStoreFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause.name === 'StoreFullError') return true;
  return false;
}
