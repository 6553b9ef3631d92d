import type { CancelTimer, Clock } from './clock.js';
import type { IdempotencyStore } from './store.js';

const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** With a store that calls back, polling is only the net below. */
const POLL_BESIDE_WATCH_MS = 1_000;

interface Round {
  readonly waiters: Set<() => void>;
  cancelTimer?: CancelTimer;
  unwatch?: () => void;
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
   * @returns a function that leaves the round
   */
  join(id: string, round: number, leaseRemainingMs: number, wake: () => void): () => void {
    const joined = this.rounds.get(id) ?? this.begin(id, round, leaseRemainingMs);
    joined.waiters.add(wake);
    return () => {
      joined.waiters.delete(wake);
      if (joined.waiters.size === 0) this.end(id, joined);
    };
  }

  private begin(id: string, number: number, leaseRemainingMs: number): Round {
    const round: Round = { waiters: new Set() };
    const end = (): void => this.end(id, round);
    round.unwatch = this.watch(id, end);
    // The first pause is short in any case: the change may have come just before the watch.
    const pauseMs =
      round.unwatch !== undefined && number > 0
        ? POLL_BESIDE_WATCH_MS
        : Math.min(FIRST_POLL_MS * 2 ** number, LONGEST_POLL_MS);
    round.cancelTimer = this.clock.after(Math.max(1, Math.min(pauseMs, leaseRemainingMs)), end);
    this.rounds.set(id, round);
    return round;
  }

  private end(id: string, round: Round): void {
    if (this.rounds.get(id) !== round) return;
    this.rounds.delete(id);
    round.cancelTimer?.();
    round.unwatch?.();
    for (const wake of round.waiters) wake();
  }

  /** A watch that fails leaves polling. */
  private watch(id: string, onChange: () => void): (() => void) | undefined {
    try {
      return this.store.watch?.(id, onChange);
    } catch {
      return undefined;
    }
  }
}
