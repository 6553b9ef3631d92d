import type { CancelTimer, Clock } from '../engine/clock.js';

/**
 * A clock that only moves when it is advanced. Timers fire in the order of their times. Timers with
 * the same time fire in the order in which they were set.
 *
 * @example
 * const clock = new ManualClock();
 * const store = new MemoryStore({ clock });
 * await clock.advance(30_000);
 */
export class ManualClock implements Clock {
  private nowMs: number;
  private timers: Timer[] = [];

  /** @param startMs what `now()` returns at first, in milliseconds */
  constructor(startMs = 0) {
    this.nowMs = startMs;
  }

  /** How many timers are set and have not fired. Zero if everything was cleaned up. */
  get pendingTimers(): number {
    return this.timers.length;
  }

  now(): number {
    return this.nowMs;
  }

  /**
   * Never fires at once: a timer of zero milliseconds fires at the next `advance`, even by zero.
   */
  after(delayMs: number, fire: () => void): CancelTimer {
    const timer: Timer = { at: this.nowMs + Math.max(delayMs, 0), fire };
    // After those with the same time.
    const later = this.timers.findIndex((other) => other.at > timer.at);
    this.timers.splice(later === -1 ? this.timers.length : later, 0, timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /**
   * Advances the time. Before the first timer, between timers and after the last one, every promise
   * that can settle does. So the work that a timer starts is done before the next one fires, and
   * timers that it sets fire in the same call if they are due.
   *
   * @param ms in milliseconds; zero fires what is due now
   * @throws RangeError if it is negative or not a number, because time never goes back
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`ManualClock.advance(${ms}): time never goes back.`);
    const target = this.nowMs + ms;
    await settled();
    for (;;) {
      const next = this.timers[0];
      if (next === undefined || next.at > target) break;
      this.timers.shift();
      this.nowMs = Math.max(this.nowMs, next.at);
      next.fire();
      await settled();
    }
    this.nowMs = Math.max(this.nowMs, target);
    await settled();
  }
}

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

/** Captured at load, so that a test that replaces the global timers does not stop this clock. */
const { setImmediate: nextTurn } = globalThis;

/** The event loop continues only when no promise reaction is left to run. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    nextTurn(resolve);
  });
}
