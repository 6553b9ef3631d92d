import type { Awaitable } from './awaitable.js';
import type { RecordedFailure, RecordStory, SettledBy } from './story.js';

export type { Awaitable };

/** What a record is doing. `released` keeps the attempt number and the steps, nothing else. */
export type RecordState = 'issued' | 'in-flight' | 'released' | 'completed' | 'held';

/** Results of finished steps, by the name of the step. */
export type Steps = ReadonlyMap<string, Uint8Array>;

/**
 * Names the record and the claim on it. A claim is alive while `owner` matches and the lease has
 * not expired.
 */
export interface ClaimRef {
  /** `sha256(scope, principal, key)` in hexadecimal: the only form of a key that a store sees. */
  readonly id: string;
  /** Unique to one claim. Never used twice. */
  readonly owner: string;
  /**
   * Whose claim it is, where callers are limited: a digest, 64 hexadecimal digits. The same in every
   * verb of one claim.
   */
  readonly bucket?: string;
}

/** What one bucket may have. A claim of a record that is new counts, and is refused beyond it. */
export interface ClaimLimits {
  /** How many claims may be alive at once. */
  readonly inFlight?: number;
  /** How many records may be claimed for the first time within {@link windowMs}. */
  readonly newKeys?: number;
  /** In milliseconds. */
  readonly windowMs: number;
}

/** Asks to become the owner of a record. */
export interface AcquireRequest extends ClaimRef {
  /** Digest of what a retry must repeat; the empty string matches everything. */
  readonly fingerprint: string;
  /** How long the claim lasts after its owner stops renewing it, in milliseconds. */
  readonly leaseMs: number;
  /** How long attempt number, fingerprint and steps outlive the lease, in milliseconds. */
  readonly ttlMs: number;
  /** What operators see of the operation: its scope, and what the application calls it. */
  readonly scope?: string;
  readonly label?: string | undefined;
  /** Claim only a record that was issued before (a token); absent counts as `unknown`. */
  readonly mustBeIssued?: boolean;
  /**
   * The fencing token must be higher than this, the highest that the caller knows. The store makes
   * tokens from its clock, which may have been set back.
   */
  readonly aboveToken?: number;
  /** Only together with `bucket`, and only for stores with {@link IdempotencyStore.prepareLimits}. */
  readonly limits?: ClaimLimits;
}

/** The caller now owns the record and must complete, release or hold it. */
export interface Acquired {
  readonly outcome: 'acquired';
  /** 1 for the first claim of the record, one more for each later one; {@link ReleaseRequest.isUncounted}. */
  readonly attempt: number;
  /**
   * Grows with every claim of this id, even after the record was forgotten, and is higher than
   * {@link AcquireRequest.aboveToken}.
   */
  readonly fencingToken: number;
  /** True if the lease of the previous claim expired: nobody knows what its owner did. */
  readonly abandoned: boolean;
  readonly steps: Steps;
}

/** The operation has finished: this is its reply. */
export interface Completed {
  readonly outcome: 'completed';
  readonly reply: Uint8Array;
  /**
   * How long the reply is still kept, in milliseconds. Without it, the module option `replayCache` keeps
   * only the replies that its own process has recorded.
   */
  readonly ttlRemainingMs?: number;
}

/** Somebody else owns the record. */
export interface InFlight {
  readonly outcome: 'in-flight';
  /** How long the present owner's lease still lasts unless it is renewed, in milliseconds. */
  readonly leaseRemainingMs: number;
}

/** The record belongs to other content. Reported before anything else about the record. */
export interface Mismatch {
  readonly outcome: 'mismatch';
  /** The record's fingerprint. */
  readonly fingerprint: string;
}

/** The outcome is unknown, and an operator must settle it. */
export interface Held {
  readonly outcome: 'held';
  readonly reason: string;
}

/** Only with `mustBeIssued`: there is no such record. */
export interface Unknown {
  readonly outcome: 'unknown';
}

/**
 * The bucket has reached a limit, and nobody has claimed this record before. Nothing was written; in a
 * transaction, everything must be rolled back.
 */
export interface Limited {
  readonly outcome: 'limited';
  /** Which limit was reached. */
  readonly limit: 'inFlight' | 'newKeys';
  /** When there may be room again, in milliseconds; 0 when that is not known. */
  readonly retryAfterMs: number;
}

/**
 * There is a record, but its content cannot be decrypted: a key is gone, or somebody changed it.
 */
export interface Unreadable {
  readonly outcome: 'unreadable';
  readonly cause: unknown;
  /** The claim that was made all the same and must be released; absent if there is none. */
  readonly claimed: Acquired | undefined;
}

/** Every answer that leaves the record with somebody else. */
export type Refusing = Completed | InFlight | Mismatch | Held | Unknown | Limited | Unreadable;

/** The record is the caller's, or somebody else's. */
export type AcquireResult = Acquired | Refusing;

/** The outcomes of a store itself. `unreadable` comes from the code that decrypts content. */
export type StoredOutcome = Exclude<AcquireResult['outcome'], 'unreadable'>;

/** Asks for the lease to restart. */
export interface ExtendRequest extends ClaimRef {
  /** The new lease, counted from now, in milliseconds. */
  readonly leaseMs: number;
  /** As in {@link AcquireRequest.ttlMs}. */
  readonly ttlMs: number;
}

/** Records the reply of a finished operation. */
export interface CompleteRequest extends ClaimRef {
  readonly reply: Uint8Array;
  /** How long the reply is kept, in milliseconds from now. */
  readonly ttlMs: number;
  /** `held` settles a held record (its `owner` comes from `find`); absent means `in-flight`. */
  readonly from?: 'in-flight' | 'held';
  /** Who settles a held record, and why. It stays with the record. */
  readonly settledBy?: SettledBy | undefined;
}

/** Releases a claim. */
export interface ReleaseRequest extends ClaimRef {
  /** How long attempt number and steps are kept, in milliseconds from now. */
  readonly ttlMs: number;
  /**
   * True if the attempt does not count, because it has not failed: the next claim gets its number again.
   * From `'held'`, no attempt counts: the next claim is attempt 1. Absent for an attempt that counts.
   */
  readonly isUncounted?: boolean | undefined;
  /** As in {@link CompleteRequest.from}. */
  readonly from?: 'in-flight' | 'held';
  /** As in {@link CompleteRequest.settledBy}. */
  readonly settledBy?: SettledBy | undefined;
}

/** Holds an operation until an operator settles it. */
export interface HoldRequest extends ClaimRef {
  /** Shown to operators. Never to clients. */
  readonly reason: string;
  /** The error that it is held for, if that is why. */
  readonly failure?: RecordedFailure | undefined;
  /** How long the reply would have been kept, in milliseconds. A settlement keeps to it. */
  readonly ttlMs?: number;
}

/** Saves the result of a finished step. */
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

/** What `find` returns about a record that has not expired. */
export interface RecordView {
  readonly id: string;
  readonly state: RecordState;
  /** The current or last owner; empty for a record that was only issued. */
  readonly owner: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly fingerprint: string;
  readonly steps: Steps;
  /** Only if `completed`. */
  readonly reply?: Uint8Array;
  /** Only if `held`. */
  readonly reason?: string;
  /** Only if `in-flight`: milliseconds until the lease ends; zero or less once it has expired. */
  readonly leaseRemainingMs?: number;
  /**
   * Why reply and step results could not be decrypted. Then they are absent or must not be used.
   */
  readonly unreadable?: unknown;
  /** Milliseconds until the record is forgotten; absent if it is kept until someone settles it. */
  readonly ttlRemainingMs?: number;
  /** What the record tells operators; absent in a store that does not keep it. */
  readonly story?: RecordStory;
}

/** A state by which records are listed. `abandoned`: in flight, and the lease has run out. */
export type ListedState = RecordState | 'abandoned';

/** Asks for some of the records in one state. */
export interface ListRequest {
  readonly state: ListedState;
  /** {@link RecordPage.next} of the page before; absent for the first page. */
  readonly after?: string | undefined;
  /** The most records that a page has. */
  readonly limit: number;
}

/** A record in a list, which leaves out its content. */
export type ListedRecord = Omit<RecordView, 'reply' | 'steps' | 'unreadable'>;

/** Some records. */
export interface RecordPage {
  readonly records: readonly ListedRecord[];
  /** Where the next page begins; absent after the last one. */
  readonly next?: string | undefined;
}

/**
 * Where records live. Every verb is one atomic step.
 *
 * The numbered guarantees that an implementation must keep are the contract suite in
 * `nestjs-idempotency/testing`; run it against a real server.
 *
 * - Whether a record has expired is decided by the store's clock when the record is read, never
 *   by a purge.
 * - A record is forgotten once its ttl has passed. A `held` record never is.
 * - A verb that fails throws. It may have written all the same, so the engine repeats `complete`,
 *   `release` and `hold`, and releases a claim whose answer was lost.
 */
export interface IdempotencyStore {
  /**
   * Claims a record that is free, released, issued, or whose lease has expired.
   *
   * An in-flight, completed or held record is reported and not changed. A fingerprint that differs
   * from the record's is a `mismatch`, even if the lease has expired. A released record without
   * steps takes a different fingerprint and starts again at attempt 1; with steps it stays bound to
   * its fingerprint.
   *
   * With `limits`, a record that nobody has claimed before (there is none, it has expired, or it was
   * only issued) is `limited` instead of claimed if its bucket has reached one of them. Only live
   * leases count, so what a process that died has claimed counts until its lease expires.
   */
  acquire(request: AcquireRequest): Awaitable<AcquireResult>;

  /** Restarts the lease. `false`: the claim is no longer alive, nothing changed. */
  extend(request: ExtendRequest): Awaitable<boolean>;

  /**
   * Records the reply. `false`: the claim is no longer alive, nothing changed. If the same owner
   * repeats it, it returns `true` and keeps the first reply.
   */
  complete(request: CompleteRequest): Awaitable<boolean>;

  /**
   * Releases the claim: the next `acquire` wins at once, as the next attempt, or as the same one if
   * this one does not count. `false`: the claim is no longer alive, nothing changed.
   */
  release(request: ReleaseRequest): Awaitable<boolean>;

  /**
   * Stops everything on this record until an operator settles it. `false`: the claim is no longer
   * alive, nothing changed. If the same owner repeats it, it returns `true`.
   */
  hold(request: HoldRequest): Awaitable<boolean>;

  /** Remembers a finished step across attempts. `false`: the claim is no longer alive. */
  saveStep(request: SaveStepRequest): Awaitable<boolean>;

  /** Writes an `issued` record. `false`: there already is a record, nothing changed. */
  issue(request: IssueRequest): Awaitable<boolean>;

  /** The record, or `undefined` if there is none or its ttl has passed. */
  find(id: string): Awaitable<RecordView | undefined>;

  /** Deletes the record, unless its lease is alive. `true` if there was one to delete. */
  forget(id: string): Awaitable<boolean>;

  /**
   * The records in one state, for operators. Optional.
   *
   * A page takes about the same time however many records there are. Held records come in the order in
   * which they were held. For any other state a page may have few records, or none, and still not be the
   * last, because a store has an index of held records only. A record that changes meanwhile may be
   * left out or come twice.
   */
  list?(request: ListRequest): Awaitable<RecordPage>;

  /**
   * Calls `onChange` when the record may have left `in-flight`. Optional: without it, waiting
   * duplicates poll. It may be called too often, and correctness must not depend on it.
   *
   * @returns a function that stops the watch
   */
  watch?(id: string, onChange: () => void): () => void;

  /**
   * True if records are lost when the process ends. In production, such a store must be allowed
   * explicitly.
   */
  readonly isVolatile?: boolean;

  /**
   * Called once when the application boots. A store that cannot be reached yet, or takes only smaller replies, warns.
   *
   * @throws if the server can never keep records
   */
  start?(warn: (warning: string) => void, largestReplyBytes?: number): Awaitable<void>;

  /**
   * A store that has this method keeps {@link AcquireRequest.limits}. Called once, after {@link start},
   * when an application that sets limits boots. A store that cannot be reached yet only warns.
   *
   * @throws for a store that is not prepared, such as a table without the columns
   */
  prepareLimits?(warn: (warning: string) => void): Awaitable<void>;

  /**
   * The place where the current call is kept, if that depends on the call, such as one database per
   * tenant: a store that keeps to it, the same object for the same place. Asked once for each call,
   * before anything else. Calls of different places never meet, whatever their ids.
   */
  readonly ofCall?: (() => Awaitable<IdempotencyStore>) | undefined;

  /**
   * For a store that is made of several, which fail each by itself: the one that keeps this record,
   * always the same object. Calls for the others go on while it fails.
   */
  partOf?(id: string): StorePart;

  /**
   * The classes of the rows that the store's data source makes. Their instances come back from a
   * record as instances, if they are only data. Called once, after {@link start}.
   */
  entities?(): Awaitable<readonly NewableFunction[]>;

  /** Closes what the store itself opened. Called when the application shuts down. */
  close?(): Awaitable<void>;
}

/** One of the stores that a store is made of. */
export interface StorePart {
  /** For events and logs. */
  readonly name: string;
  readonly store: IdempotencyStore;
}

/** A store whose expired records stay there until somebody deletes them. */
export interface PurgingStore {
  /** Deletes at most `limit` records whose ttl has passed, and returns how many. */
  purgeExpired(limit: number): Awaitable<number>;
}

/** True for a store that does not delete expired records by itself. */
export function isPurging(store: object): store is PurgingStore {
  return typeof (store as Partial<PurgingStore>).purgeExpired === 'function';
}

/**
 * Thrown by a store that has no room left. A new call gets 503, as if the store were down. In place
 * of a reply the engine records a tombstone.
 */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
}

/** True for an error of this class or one caused by it, even from another copy of this package. */
export function isStoreFull(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause.name === 'StoreFullError') return true;
  return false;
}
