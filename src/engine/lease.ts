import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { attempt, type Awaitable, chain, Failure } from './awaitable.js';
import type { CancelTimer, Clock } from './clock.js';

/** The pause after a renewal, and after one that failed, as parts of the lease. */
const RENEW_AFTER = 1 / 3;
const RETRY_AFTER = 1 / 10;

/**
 * Runs code outside the context of its call. Work that continues after the reply was sent would
 * otherwise keep that context in memory: the request with its body, and whatever the application
 * put there.
 */
export const outside = AsyncLocalStorage.snapshot();

const IN_CONTEXT = { requireManualDestroy: true };

/** What a lease needs from its claim. */
export interface LeaseHolder {
  /** Asks the store to restart the lease, and waits no longer than `withinMs`. */
  extend(withinMs: number): Awaitable<boolean>;
  /** Another owner may be running. Called once. */
  leaseLost(): void;
}

/** Keeps the lease of one claim alive, and knows when it is lost. */
export class Lease {
  /** True once another owner may be running. Never false again. */
  isLost = false;
  private phase: 'kept' | 'settling' | 'stopped' = 'kept';
  private hasFailed = false;
  /** The context of the call, in which its lease is renewed; absent once the call was answered. */
  private context: AsyncResource | undefined = new AsyncResource('IdempotencyLease', IN_CONTEXT);
  private dueAtMs = 0;
  private cancelTimer: CancelTimer | undefined;
  private abortController: AbortController | undefined;

  /** @param renewedAtMs when the store was asked for the claim; it counts from then or later */
  constructor(
    private readonly clock: Clock,
    private readonly leaseMs: number,
    private renewedAtMs: number,
    private readonly holder: LeaseHolder,
  ) {
    this.schedule(this.renewedAtMs + leaseMs * RENEW_AFTER - clock.now());
  }

  /** Aborted when the lease is lost. */
  get signal(): AbortSignal {
    this.abortController ??= new AbortController();
    if (this.isLost) this.abortController.abort();
    return this.abortController.signal;
  }

  /** See {@link Claim.confirm}. */
  confirm(): Awaitable<boolean> {
    if (this.isLost || this.remainingMs > 0) return !this.isLost;
    const askedAtMs = this.clock.now();
    return chain(this.holder.extend(this.leaseMs), (isOurs) => {
      if (isOurs) this.renewedAtMs = askedAtMs;
      else this.lose();
      return isOurs;
    });
  }

  /** From now on, the settling verb finds out whether the lease is still valid. */
  startSettling(): void {
    if (this.phase === 'kept') this.phase = 'settling';
  }

  lose(): void {
    if (this.isLost) return;
    this.isLost = true;
    this.stop();
    this.abortController?.abort();
    this.holder.leaseLost();
  }

  /** The record was claimed again, only to settle it. For the handler, the claim stays lost. */
  regain(renewedAtMs: number): void {
    this.phase = 'settling';
    this.renewedAtMs = renewedAtMs;
    this.schedule(this.leaseMs * RENEW_AFTER);
  }

  /** The call has been answered, but the lease continues. */
  detach(): void {
    this.context = undefined;
    if (this.phase !== 'stopped') this.schedule(this.dueAtMs - this.clock.now());
  }

  stop(): void {
    this.phase = 'stopped';
    this.cancelTimer?.();
  }

  /** By the clock of this process. The store may know better. */
  get hasRunOut(): boolean {
    return this.isLost || this.remainingMs <= 0;
  }

  private get remainingMs(): number {
    return this.renewedAtMs + this.leaseMs - this.clock.now();
  }

  private schedule(delayMs: number): void {
    this.cancelTimer?.();
    const pauseMs = Math.max(0, delayMs);
    this.dueAtMs = this.clock.now() + pauseMs;
    const { context } = this;
    const start = (): CancelTimer =>
      this.clock.after(pauseMs, () => {
        if (context === undefined) void this.renew();
        else void context.runInAsyncScope(() => this.renew());
      });
    this.cancelTimer = context === undefined ? outside(start) : start();
  }

  private async renew(): Promise<void> {
    const { remainingMs } = this;
    const isKept = this.phase === 'kept';
    // The store was down for a whole lease, so the claim has expired.
    if (isKept && this.hasFailed && remainingMs <= 0) return this.lose();
    const askedAtMs = this.clock.now();
    // After a pause of the process, ask the store anyway: its clock decides.
    const withinMs = remainingMs > 0 ? remainingMs : this.leaseMs;
    const answer = await attempt(() => this.holder.extend(withinMs));
    if (this.phase === 'stopped') return;
    this.hasFailed = typeof answer !== 'boolean';
    if (answer === true) {
      this.renewedAtMs = askedAtMs;
      this.schedule(this.leaseMs * RENEW_AFTER);
    } else if (this.hasFailed) {
      this.schedule(this.pauseAfterFailure());
    } else if (this.phase === 'kept') {
      this.lose();
    }
  }

  /** Shorter than after a success, and once at the very end of the lease. */
  private pauseAfterFailure(): number {
    const pauseMs = this.leaseMs * RETRY_AFTER;
    return this.phase === 'kept' ? Math.min(pauseMs, this.remainingMs) : pauseMs;
  }
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Repeats a settling verb until the store answers, with growing pauses. In the meantime the owner
 * keeps renewing its lease, so that nobody runs the operation again.
 *
 * @param giveUpAfterMs when the record would have expired anyway
 */
export async function settleLater<T>(
  clock: Clock,
  giveUpAfterMs: number,
  settle: () => Awaitable<T | Failure>,
  settled: (result: T) => void,
  giveUp: () => void,
): Promise<void> {
  const startedAtMs = clock.now();
  let pauseMs = FIRST_PAUSE_MS;
  while (clock.now() - startedAtMs < giveUpAfterMs) {
    await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
    const result = await settle();
    if (!(result instanceof Failure)) return settled(result);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
  giveUp();
}
