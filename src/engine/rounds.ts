import type { CancelTimer, Clock } from './clock.js';
import type { IdempotencyStore } from './store.js';

const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** With a store that calls back, polling is only the net below. */
const POLL_BESIDE_WATCH_MS = 1_000;

interface Round {
  readonly waiters: (() => void)[];
  cancelTimer: CancelTimer;
  unwatch: (() => void) | undefined;
}

/**
 * Waiting for owners in other processes. All duplicates of a record that wait in this process
 * share one round: one watch, one timer, and afterwards one question to the store.
 */
export class Rounds {
  private readonly rounds = new Map<string, Round>();

  constructor(
    private readonly store: IdempotencyStore,
    private readonly clock: Clock,
  ) {}

  /**
   * @param round how often the caller has waited before; pauses grow with it
   * @param leaseRemainingMs the end of the present lease is worth a look
   */
  join(id: string, round: number, leaseRemainingMs: number, wake: () => void): void {
    const running = this.rounds.get(id);
    if (running !== undefined) return void running.waiters.push(wake);
    const end = (): void => this.end(id);
    const unwatch = this.store.watch?.(id, end);
    // The first pause is short in any case: the change may have come just before the watch.
    const pauseMs =
      unwatch !== undefined && round > 0
        ? POLL_BESIDE_WATCH_MS
        : Math.min(FIRST_POLL_MS * 2 ** round, LONGEST_POLL_MS);
    const cancelTimer = this.clock.after(Math.max(1, Math.min(pauseMs, leaseRemainingMs)), end);
    this.rounds.set(id, { waiters: [wake], cancelTimer, unwatch });
  }

  private end(id: string): void {
    const round = this.rounds.get(id);
    if (round === undefined) return;
    this.rounds.delete(id);
    round.cancelTimer();
    round.unwatch?.();
    for (const wake of round.waiters) wake();
  }
}
