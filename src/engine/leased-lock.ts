import type { Awaitable } from './awaitable.js';
import type { Clock } from './clock.js';
import { Lease, type LeaseHolder } from './lease.js';
import type { HeldLock } from './lock-service.js';

/** What a lock needs of its service. */
export interface LockVerbs {
  /** Restarts the lease. `false`: the lock is lost. */
  extend(): Promise<boolean>;
  /** `false`: the lock was lost before. */
  release(): Promise<boolean>;
}

/**
 * A lock, or a place in the queue for it, that lasts while its holder renews it: every third of the
 * lease. It is lost one lease after the last answered request was sent, which is before the server can
 * have ended it. The clocks of two machines are never compared.
 */
export class LeasedLock implements HeldLock, LeaseHolder {
  fencingToken = 0;
  private readonly lease: Lease;

  /** @param askedAtMs when the server was asked for the lease */
  constructor(
    private readonly clock: Clock,
    leaseMs: number,
    askedAtMs: number,
    private readonly verbs: LockVerbs,
    private readonly whenLost?: () => void,
  ) {
    this.lease = new Lease(clock, leaseMs, askedAtMs, this);
  }

  get isLost(): boolean {
    return this.lease.isLost;
  }

  /** True if somebody else may hold the lock by now, by the clock of this process. */
  get hasRunOut(): boolean {
    return this.lease.hasRunOut;
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }

  confirm(): Awaitable<boolean> {
    return this.lease.confirm();
  }

  /** The service says that the lock is gone. */
  lose(): void {
    this.lease.lose();
  }

  release(): Promise<boolean> {
    this.lease.stop();
    return this.verbs.release();
  }

  extend(withinMs: number): Promise<boolean> {
    return within(this.clock, withinMs, this.verbs.extend());
  }

  leaseLost(): void {
    this.whenLost?.();
  }
}

/** The service threw, or did not answer in time. It may have done what it was asked to do. */
export class LockServiceError extends Error {
  override readonly name = 'LockServiceError';
}

/**
 * The answer, if it comes in time.
 *
 * @param whenLate called with an answer that came too late
 * @throws {@link LockServiceError}
 */
export function within<T>(
  clock: Clock,
  limitMs: number,
  answer: PromiseLike<T>,
  whenLate?: (answer: T) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let isLate = false;
    const cancel = clock.after(limitMs, () => {
      isLate = true;
      reject(new LockServiceError(`The lock service did not answer within ${limitMs} ms.`));
    });
    answer.then(
      (value) => {
        if (isLate) return whenLate?.(value);
        cancel();
        resolve(value);
      },
      (cause: unknown) => {
        cancel();
        reject(new LockServiceError('The lock service failed.', { cause }));
      },
    );
  });
}
