import { createHash } from 'node:crypto';
import { attempt, type Awaitable } from './awaitable.js';
import type { Clock } from './clock.js';
import { Lease, type LeaseHolder } from './lease.js';
import type { Asking } from './leased-claims.js';
import { OwnedRecord } from './owned-record.js';
import type { Acquired, Refusing } from './store.js';
import type { StoreCalls } from './store-calls.js';

/** The counter is forgotten at once, because the operation has ended. In milliseconds. */
const AT_ONCE_MS = 1;
const NOTHING = new Uint8Array();

/**
 * Counts the attempts of an operation whose record is part of a transaction: a transaction that is
 * undone takes the attempt number with it. The counter is a record of its own, outside of the
 * transaction, with a lease: an attempt whose process died counts when its lease is over.
 */
export class AttemptCounter implements LeaseHolder {
  private readonly lease: Lease;

  private constructor(
    clock: Clock,
    private readonly record: OwnedRecord,
    /** The number of this attempt, from 1. */
    readonly attempt: number,
    leaseMs: number,
    askedAtMs: number,
  ) {
    this.lease = new Lease(clock, leaseMs, askedAtMs, this);
  }

  /** Counts an attempt; or says why there is none, such as `in-flight`. */
  static async begin(
    { calls, clock }: { readonly calls: StoreCalls; readonly clock: Clock },
    { request, owner }: Asking,
  ): Promise<AttemptCounter | Exclude<Refusing, { outcome: 'unreadable' }>> {
    const id = counterOf(request.id);
    const { fingerprint, policy, caller } = request;
    const { leaseMs, ttlMs } = policy;
    const record = new OwnedRecord(calls, { id, scope: '', fingerprint, policy, caller }, owner);
    const askedAtMs = clock.now();
    const keep = ({ outcome }: { readonly outcome: string }): void => {
      if (outcome === 'acquired') void attempt(() => record.release(true));
    };
    const result = await calls.acquire(
      { id, owner, fingerprint, leaseMs, ttlMs, ...caller },
      { withinMs: leaseMs, whenLate: keep },
    );
    // Nothing in it is encrypted that could be unreadable.
    const counted = result.outcome === 'unreadable' ? result.claimed : result;
    if (counted === undefined) return { outcome: 'in-flight', leaseRemainingMs: 0 };
    if (counted.outcome !== 'acquired') return counted;
    return new AttemptCounter(
      clock,
      record,
      (counted satisfies Acquired).attempt,
      leaseMs,
      askedAtMs,
    );
  }

  /** The attempt has failed: the next one counts on from it. */
  keep(): Promise<void> {
    return this.release(false);
  }

  /** The attempt has not failed: the next one gets its number. */
  withdraw(): Promise<void> {
    return this.release(true);
  }

  private async release(isUncounted: boolean): Promise<void> {
    this.lease.stop();
    await attempt(() => this.record.release(isUncounted));
  }

  /** The operation has ended: nothing is left to count. */
  async end(): Promise<void> {
    this.lease.stop();
    this.record.keepFor(AT_ONCE_MS);
    await attempt(() => this.record.complete(NOTHING));
  }

  extend(withinMs: number): Awaitable<boolean> {
    return this.record.extend(withinMs);
  }

  /** The transaction's lock on the record keeps others out. */
  leaseLost(): void {}
}

/** The id of the record that counts the attempts of the operation with this record. */
export function counterOf(id: string): string {
  return createHash('sha256').update(`attempts of ${id}`).digest('hex');
}
