import type { AcquireRequest, ClaimLimits, Limited } from '../../engine/store.js';
import { ExpiryQueue, type Queued } from './expiry-queue.js';
import type { MemoryRecord } from './memory-record.js';

/** More are dropped than a claim adds, as with records. */
const DROPPED_PER_CLAIM = 2;

/** The claims and new keys of one caller. */
class Bucket implements Queued {
  queueIndex = -1;
  /** Records whose lease has expired are removed when they are counted. */
  readonly inFlight = new Set<MemoryRecord>();
  /** The times at which keys were new, oldest first. */
  readonly newAt: number[] = [];

  constructor(readonly id: string) {}

  countInFlight(now: number): number {
    for (const record of this.inFlight)
      if (record.bucket !== this.id || !record.isLeased(now)) this.inFlight.delete(record);
    return this.inFlight.size;
  }

  forgetOld(windowMs: number, now: number): void {
    const firstKept = this.newAt.findIndex((at) => at > now - windowMs);
    this.newAt.splice(0, firstKept === -1 ? this.newAt.length : firstKept);
  }
}

/**
 * What callers have in flight and have recently begun. Keeps nothing for a caller that has neither.
 */
export class Buckets {
  private readonly byId = new Map<string, Bucket>();
  private readonly idle = new ExpiryQueue<Bucket>();

  /** How many callers are known. */
  get size(): number {
    return this.byId.size;
  }

  /** The limit that refuses the claim of a new record, if any. */
  refusal({ bucket, limits }: AcquireRequest, now: number): Limited | undefined {
    const known = bucket === undefined ? undefined : this.byId.get(bucket);
    return known && limits && refusalOf(known, limits, now);
  }

  /** Counts a claim that was made. */
  enter(
    record: MemoryRecord,
    { bucket, limits }: AcquireRequest,
    isNew: boolean,
    now: number,
  ): void {
    this.leave(record);
    if (bucket === undefined) return;
    let known = this.byId.get(bucket);
    if (known === undefined) this.byId.set(bucket, (known = new Bucket(bucket)));
    record.bucket = bucket;
    known.inFlight.add(record);
    if (isNew && limits?.newKeys !== undefined) known.newAt.push(now);
    this.keepUntil(known, Math.max(record.leaseEndsAt, now + (limits?.windowMs ?? 0)));
    this.dropIdle(now);
  }

  /** Removes a claim that has ended. */
  leave(record: MemoryRecord): void {
    if (record.bucket === undefined) return;
    this.byId.get(record.bucket)?.inFlight.delete(record);
    record.bucket = undefined;
  }

  private keepUntil(bucket: Bucket, deadline: number): void {
    if (bucket.queueIndex === -1) this.idle.add(bucket, deadline);
    else this.idle.move(bucket, deadline);
  }

  private dropIdle(now: number): void {
    for (let dropped = 0; dropped < DROPPED_PER_CLAIM; dropped += 1) {
      const bucket = this.idle.due(now);
      if (bucket === undefined) return;
      if (bucket.countInFlight(now) === 0) {
        this.idle.remove(bucket);
        this.byId.delete(bucket.id);
      } else {
        const ends = [...bucket.inFlight].map(({ leaseEndsAt }) => leaseEndsAt);
        this.idle.move(bucket, Math.max(...ends));
      }
    }
  }
}

function refusalOf(
  bucket: Bucket,
  { inFlight = Infinity, newKeys = Infinity, windowMs }: ClaimLimits,
  now: number,
): Limited | undefined {
  if (bucket.inFlight.size >= inFlight && bucket.countInFlight(now) >= inFlight)
    return { outcome: 'limited', limit: 'inFlight', retryAfterMs: 0 };
  bucket.forgetOld(windowMs, now);
  const { newAt } = bucket;
  if (newAt.length < newKeys) return undefined;
  // Once this one stops counting, there is room.
  const leaving = newAt[newAt.length - newKeys]!;
  return { outcome: 'limited', limit: 'newKeys', retryAfterMs: leaving + windowMs - now };
}
