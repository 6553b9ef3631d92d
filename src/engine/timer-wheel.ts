import { AsyncLocalStorage } from 'node:async_hooks';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';

/** How exact the wheel is. A timer fires up to this much late, and never early. */
const TICK_MS = 20;

/** Node fires a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs code outside the context of a call, which a timer of the process must not keep. */
const outside = AsyncLocalStorage.snapshot();

/** The monotonic clock. Not the global one at call time: tests replace it, but not Node's timers. */
const now = performance.now.bind(performance);

/** A timer that is set, linked with the others of its tick. */
export class WheelTimer {
  private before: WheelTimer;
  private after: WheelTimer;

  constructor(public fire: (() => void) | undefined) {
    this.before = this;
    this.after = this;
  }

  get isAlone(): boolean {
    return this.after === this;
  }

  get next(): WheelTimer {
    return this.after;
  }

  /** Joins the others, as the last of them. */
  join(tick: WheelTimer): void {
    this.before = tick.before;
    this.after = tick;
    tick.before.after = this;
    tick.before = this;
  }

  /** Does nothing if it has fired. */
  cancel(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
    this.fire = undefined;
  }
}

/**
 * All longer timers of the process, on one timer of Node's. Nearly all of them are cancelled: they
 * are time-outs, and renewals of leases whose handlers end sooner. So setting and cancelling costs
 * no more than an object in a list.
 *
 * Timers fire outside the contexts of the calls that set them.
 */
export class TimerWheel {
  /** By the number of the tick. Each begins with a timer that only holds the list together. */
  private readonly ticks = new Map<number, WheelTimer>();
  private armedFor = Infinity;
  private timer: NodeJS.Timeout | undefined;

  set(delayMs: number, fire: () => void): WheelTimer {
    const number = Math.ceil((now() + delayMs) / TICK_MS);
    let tick = this.ticks.get(number);
    if (tick === undefined) {
      tick = new WheelTimer(undefined);
      this.ticks.set(number, tick);
    }
    const timer = new WheelTimer(fire);
    timer.join(tick);
    if (number < this.armedFor) this.arm(number);
    return timer;
  }

  private arm(number: number): void {
    clearTimeout(this.timer);
    this.armedFor = number;
    const pauseMs = Math.max(1, Math.min(number * TICK_MS - now(), LONGEST_TIMER_MS));
    // After the process was paused, timers fire before answers that arrived in the meantime. Let the
    // answers go first. The turn is not unreferenced, because the event loop would then sleep until
    // something else happens.
    this.timer = outside(() => setTimeout(() => void setImmediate(this.turn), pauseMs).unref());
  }

  private readonly turn = (): void => {
    const current = now() / TICK_MS;
    const due: [number: number, tick: WheelTimer][] = [];
    let next = Infinity;
    for (const [number, tick] of this.ticks) {
      const isDue = number <= current;
      if (isDue || tick.isAlone) this.ticks.delete(number);
      if (tick.isAlone) continue;
      if (isDue) due.push([number, tick]);
      else if (number < next) next = number;
    }
    this.armedFor = Infinity;
    if (next < Infinity) this.arm(next);
    due.sort(([a], [b]) => a - b);
    for (const [, tick] of due) fireAll(tick);
  };
}

/** One that throws must not keep the others from firing. */
function fireAll(tick: WheelTimer): void {
  while (!tick.isAlone) {
    const { next } = tick;
    const { fire } = next;
    next.cancel();
    try {
      fire?.();
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}
