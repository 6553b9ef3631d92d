import { type Clock, systemClock } from '../../engine/clock.js';
import {
  type AcquireRequest,
  type AcquireResult,
  type Acquired,
  type CompleteRequest,
  type ExtendRequest,
  type HoldRequest,
  type IdempotencyStore,
  type IssueRequest,
  type ListRequest,
  type PurgingStore,
  type RecordPage,
  type RecordView,
  type ReleaseRequest,
  type SaveStepRequest,
} from '../../engine/store.js';
import { Buckets } from './buckets.js';
import { BoundedRecords, Watchers } from './bounded-records.js';
import {
  bytesOfArray,
  bytesOfRecord,
  bytesOfStep,
  bytesOfText,
  copyToGive,
  copyToKeep,
  MemoryRecord,
  NO_STORY,
} from './memory-record.js';

/** More expired records are dropped than a call adds, so a backlog shrinks with every call. */
const EXPIRED_PER_CALL = 2;

/** The limits of a {@link MemoryStore}, and its clock. */
export interface MemoryStoreOptions {
  /**
   * The most records that the store holds; 1 to 8 388 608. When this is reached and nothing has
   * expired, calls with new keys are refused as if the store were down.
   *
   * @default 1_000_000
   */
  readonly maxRecords?: number;
  /**
   * The most bytes that the records take, estimated: replies, steps, texts and about 400 bytes for
   * each record. When this is reached and nothing has expired, new keys and replies are refused as
   * if the store were down.
   *
   * @default 268_435_456 (256 MiB: some 270 000 records with replies of 200 bytes)
   */
  readonly maxBytes?: number;
  /**
   * The clock that decides when leases and ttls end.
   *
   * @default systemClock
   */
  readonly clock?: Clock;
}

/**
 * Keeps records in the memory of this process. They are lost when it ends, and other processes do
 * not see them.
 *
 * Every verb answers at once and is one atomic step, because nothing else runs in between. Nothing
 * is dropped to make room before it has expired. There are no timers: a record whose ttl has passed
 * counts as absent when it is read, and its memory is freed little by little during later calls.
 *
 * @throws StoreFullError from `acquire`, `issue`, `saveStep` and `complete`, which leave
 * everything as it was.
 */
export class MemoryStore implements IdempotencyStore, PurgingStore {
  readonly isVolatile = true;
  private readonly clock: Clock;
  private readonly records: BoundedRecords;
  private readonly buckets = new Buckets();
  private readonly watchers = new Watchers();
  /**
   * One counter for all records, so that it grows even after a record was forgotten. It starts at
   * the wall clock's microseconds, so the next process continues above where this one ended.
   */
  private lastFencingToken = Date.now() * 1000;
  /** From the store's clock to the time of day, in milliseconds. */
  private readonly epochMs: number;

  /** @throws RangeError when a bound is not a whole number in its range. */
  constructor({
    maxRecords = 1_000_000,
    maxBytes = 2 ** 28,
    clock = systemClock,
  }: MemoryStoreOptions = {}) {
    this.records = new BoundedRecords(maxRecords, maxBytes);
    this.clock = clock;
    this.epochMs = Date.now() - clock.now();
  }

  /** How many records are in memory, including expired ones that have not been dropped yet. */
  get size(): number {
    return this.records.size;
  }

  /** The estimated size of these records, in bytes. */
  get bytes(): number {
    return this.records.bytes;
  }

  acquire(request: AcquireRequest): AcquireResult {
    const now = this.clock.now();
    this.records.dropExpired(EXPIRED_PER_CALL, now);
    const { fingerprint } = request;
    const record = this.records.look(request.id, now);
    if (record === undefined) {
      if (request.mustBeIssued) return { outcome: 'unknown' };
      const refusal = this.buckets.refusal(request, now);
      if (refusal !== undefined) return refusal;
      const expiresAt = now + request.leaseMs + request.ttlMs;
      const fresh = new MemoryRecord(request.id, request.owner, fingerprint, expiresAt);
      this.records.insert(fresh, now);
      return this.claim(fresh, request, 1, now);
    }
    const matches =
      fingerprint === '' || record.fingerprint === '' || fingerprint === record.fingerprint;
    const isBound = record.state !== 'released' || record.steps !== undefined;
    if (!matches && isBound) return { outcome: 'mismatch', fingerprint: record.fingerprint };

    switch (record.state) {
      case 'completed':
        return {
          outcome: 'completed',
          reply: copyToGive(record.reply as Uint8Array),
          ttlRemainingMs: record.expiresAt - now,
        };
      case 'held':
        return { outcome: 'held', reason: record.reason as string };
      case 'in-flight':
        if (record.isLeased(now)) {
          return { outcome: 'in-flight', leaseRemainingMs: record.leaseEndsAt - now };
        }
        return this.claim(record, request, record.attempt + 1, now);
      case 'issued': {
        const refusal = this.buckets.refusal(request, now);
        return refusal ?? this.claim(record, request, 1, now);
      }
      case 'released':
        return this.claim(record, request, matches ? record.attempt + 1 : 1, now);
    }
  }

  extend(request: ExtendRequest): boolean {
    const now = this.clock.now();
    const record = this.records.get(request.id);
    if (!record?.isOwnedBy(request.owner, 'in-flight', now)) return false;
    this.lease(record, request, now);
    return true;
  }

  complete(request: CompleteRequest): boolean {
    const now = this.clock.now();
    const record = this.records.look(request.id, now);
    if (record?.state === 'completed' && record.owner === request.owner) return true;
    if (!record?.isOwnedBy(request.owner, request.from, now)) return false;
    const bytes =
      bytesOfRecord(record.id, record.owner, record.fingerprint) + bytesOfArray(request.reply);
    this.records.makeRoom(0, bytes - record.bytes, now);
    this.buckets.leave(record);
    this.settled(record, request, now);
    record.state = 'completed';
    record.reply = copyToKeep(request.reply);
    record.steps = undefined;
    record.reason = undefined;
    this.records.book(record, bytes);
    this.records.keepUntil(record, now + request.ttlMs);
    this.watchers.wake(record.id);
    return true;
  }

  release(request: ReleaseRequest): boolean {
    const now = this.clock.now();
    const record = this.records.look(request.id, now);
    if (!record?.isOwnedBy(request.owner, request.from, now)) return false;
    this.records.book(record, record.bytes - bytesOfText(record.reason ?? ''));
    this.buckets.leave(record);
    this.settled(record, request, now);
    record.state = 'released';
    record.reason = undefined;
    if (request.isUncounted === true)
      record.attempt = request.from === 'held' ? 0 : record.attempt - 1;
    this.records.keepUntil(record, now + request.ttlMs);
    this.watchers.wake(record.id);
    return true;
  }

  /** A reason may exceed `maxBytes`, because a held operation must not run again. */
  hold(request: HoldRequest): boolean {
    const record = this.records.get(request.id);
    if (record?.state === 'held' && record.owner === request.owner) return true;
    const now = this.clock.now();
    if (!record?.isOwnedBy(request.owner, 'in-flight', now)) return false;
    const { failure, ttlMs: keepsForMs } = request;
    this.buckets.leave(record);
    record.state = 'held';
    record.reason = request.reason;
    record.story = {
      ...record.story,
      heldAt: this.timeOf(now),
      keepsForMs,
      ...(failure && { failure }),
    };
    this.records.book(record, record.bytes + bytesOfText(request.reason));
    this.records.keepUntil(record, Infinity);
    this.watchers.wake(record.id);
    return true;
  }

  saveStep(request: SaveStepRequest): boolean {
    const now = this.clock.now();
    const { name, value } = request;
    const record = this.records.get(request.id);
    if (!record?.isOwnedBy(request.owner, 'in-flight', now)) return false;
    const before = record.steps?.get(name);
    const growth =
      bytesOfStep(name, value) - (before === undefined ? 0 : bytesOfStep(name, before));
    this.records.makeRoom(0, growth, now);
    (record.steps ??= new Map<string, Uint8Array>()).set(name, copyToKeep(value));
    this.records.book(record, record.bytes + growth);
    return true;
  }

  issue(request: IssueRequest): boolean {
    const now = this.clock.now();
    this.records.dropExpired(EXPIRED_PER_CALL, now);
    if (this.records.look(request.id, now) !== undefined) return false;
    const record = new MemoryRecord(request.id, '', '', now + request.ttlMs);
    record.story = { createdAt: this.timeOf(now) };
    this.records.insert(record, now);
    return true;
  }

  find(id: string): RecordView | undefined {
    const now = this.clock.now();
    return this.records.look(id, now)?.view(now);
  }

  forget(id: string): boolean {
    const now = this.clock.now();
    const record = this.records.look(id, now);
    if (record === undefined || record.isLeased(now)) return false;
    this.records.drop(record);
    this.watchers.wake(id);
    return true;
  }

  /** Looks at all records for each page. */
  list({ state, after, limit }: ListRequest): RecordPage {
    const now = this.clock.now();
    if (after !== undefined && !/^\d+\./.test(after))
      throw new Error('The cursor does not come from a list of this store.');
    const found: (readonly [place: string, record: MemoryRecord])[] = [];
    for (const record of this.records.all()) {
      const isAbandoned = record.state === 'in-flight' && !record.isLeased(now);
      const isListed = state === 'abandoned' ? isAbandoned : record.state === state;
      if (!isListed || now >= record.expiresAt) continue;
      const place = `${this.begunAt(record)}.${record.id}`;
      if (after === undefined || place > after) found.push([place, record]);
    }
    found.sort(([a], [b]) => (a < b ? -1 : 1));
    const page = found.slice(0, limit);
    const records = page.map(([, record]) => {
      const { reply: _, steps: __, ...listed } = record.view(now);
      return listed;
    });
    return { records, next: found.length > limit ? page.at(-1)?.[0] : undefined };
  }

  /** Since when the record is what it is, for a list. All times have the same number of digits. */
  private begunAt({ state, story }: MemoryRecord): number {
    return (state === 'held' ? story.heldAt : story.createdAt) ?? this.timeOf(0);
  }

  purgeExpired(limit: number): number {
    return this.records.dropExpired(limit, this.clock.now());
  }

  /** Nothing has to be made ready. */
  prepareLimits(): void {}

  /** How many callers there is something to count of. */
  get callers(): number {
    return this.buckets.size;
  }

  watch(id: string, onChange: () => void): () => void {
    return this.watchers.add(id, onChange);
  }

  private claim(
    record: MemoryRecord,
    request: AcquireRequest,
    attempt: number,
    now: number,
  ): Acquired {
    const fingerprint = request.fingerprint || record.fingerprint;
    const growth =
      bytesOfText(request.owner) +
      bytesOfText(fingerprint) -
      bytesOfText(record.owner) -
      bytesOfText(record.fingerprint);
    this.records.makeRoom(0, growth, now);
    this.records.book(record, record.bytes + growth);
    const abandoned = record.state === 'in-flight';
    const isNew = record.state === 'issued';
    const claimedAt = this.timeOf(now);
    const { scope, label } = request;
    record.story =
      record.story === NO_STORY
        ? { scope, label, createdAt: claimedAt, claimedAt }
        : { ...record.story, scope, label, claimedAt };
    record.state = 'in-flight';
    record.owner = request.owner;
    record.attempt = attempt;
    this.lastFencingToken = Math.max(this.lastFencingToken, request.aboveToken ?? 0) + 1;
    record.fencingToken = this.lastFencingToken;
    record.fingerprint = fingerprint;
    this.lease(record, request, now);
    this.buckets.enter(record, request, isNew, now);
    return {
      outcome: 'acquired',
      attempt,
      fencingToken: record.fencingToken,
      abandoned,
      steps: record.copyOfSteps(),
    };
  }

  /** Remembers who has settled a held record. */
  private settled(
    record: MemoryRecord,
    { settledBy }: Pick<ReleaseRequest, 'settledBy'>,
    now: number,
  ): void {
    if (record.state !== 'held') return;
    record.story = {
      ...record.story,
      settledAt: this.timeOf(now),
      ...(settledBy && { settledBy }),
    };
  }

  private timeOf(now: number): number {
    return Math.floor(this.epochMs + now);
  }

  private lease(record: MemoryRecord, request: ExtendRequest, now: number): void {
    record.leaseEndsAt = now + request.leaseMs;
    this.records.keepUntil(record, record.leaseEndsAt + request.ttlMs);
  }
}
