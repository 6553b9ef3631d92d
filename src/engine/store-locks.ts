import { type Clock, systemClock } from './clock.js';
import { wrongOption } from './configuration-error.js';
import { LeasedLock } from './leased-lock.js';
import type { HeldLock, LockRequest, LockService } from './lock-service.js';
import { newOwner } from './owned-record.js';
import type { IdempotencyStore } from './store.js';
import { Rounds } from './waiting.js';

/** Options of {@link storeLocks}. */
export interface StoreLocksOptions {
  /** Keeps the locks, and nothing else of the application's records. */
  readonly store: IdempotencyStore;
  /**
   * Measures leases in this process.
   * @default the process's monotonic clock
   */
  readonly clock?: Clock;
}

/**
 * Keeps the locks of strategy `lock` in another store than the records, such as in Redis beside records in
 * PostgreSQL. Whoever waits is woken by the store where it can, but in no order.
 *
 * @throws {@link IdempotencyConfigurationError} for a store whose place depends on the call
 */
export function storeLocks({ store, clock = systemClock }: StoreLocksOptions): LockService {
  if (store.ofCall !== undefined)
    throw wrongOption(
      'store',
      store,
      'a store in one place',
      'Leave `locks` out, so that each lock is in the store of its call.',
    );
  return new StoreLocks(store, clock);
}

class StoreLocks implements LockService {
  readonly isVolatile: boolean;
  private readonly rounds: Rounds;
  /** Later tokens must exceed it, even if the store's clock was set back. */
  private greatestToken = 0;

  constructor(
    private readonly store: IdempotencyStore,
    private readonly clock: Clock,
  ) {
    this.isVolatile = store.isVolatile === true;
    this.rounds = new Rounds(store, clock);
  }

  async start(warn: (warning: string) => void): Promise<void> {
    await this.store.start?.(warn);
  }

  async close(): Promise<void> {
    await this.store.close?.();
  }

  async acquire({
    id,
    leaseMs,
    waits,
    signal,
    onWait,
  }: LockRequest): Promise<HeldLock | undefined> {
    const { store } = this;
    const claim = { id, owner: newOwner(), leaseMs, ttlMs: leaseMs };
    for (let round = 0; !signal.aborted; round += 1) {
      const askedAtMs = this.clock.now();
      const aboveToken = this.greatestToken;
      let result;
      try {
        result = await store.acquire({ ...claim, fingerprint: '', aboveToken });
      } catch (cause) {
        // It may have been written all the same; if this fails too, it ends with its lease.
        void Promise.resolve(store.release(claim)).catch(() => undefined);
        throw cause;
      }
      if (result.outcome === 'acquired') {
        const lock = new LeasedLock(this.clock, leaseMs, askedAtMs, {
          extend: async () => store.extend(claim),
          release: async () => store.release(claim),
        });
        lock.fencingToken = result.fencingToken;
        this.greatestToken = Math.max(this.greatestToken, result.fencingToken);
        return lock;
      }
      if (result.outcome !== 'in-flight')
        throw new Error(`The record of a lock is '${result.outcome}', which no lock can be.`);
      if (!waits) return undefined;
      onWait();
      await this.change(id, round, result.leaseRemainingMs, signal);
    }
    return undefined;
  }

  private change(
    id: string,
    round: number,
    leaseRemainingMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        leave();
        resolve();
      };
      const leave = this.rounds.join(id, round, leaseRemainingMs, wake);
      signal.addEventListener('abort', wake);
    });
  }
}
