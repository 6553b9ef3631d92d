import { TimerWheel } from './timer-wheel.js';

/** Cancels a timer. Does nothing if it has already fired. */
export type CancelTimer = () => void;

/** The engine's only source of time, so that tests can move it. */
export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back. */
  now(): number;
  /** Calls `fire` once, `delayMs` milliseconds from now. Never keeps the process alive. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** Shorter timers are Node's own, because the wheel is not exact enough for them. */
const WHEEL_FROM_MS = 1_000;

const wheel = new TimerWheel();

/** The process's monotonic clock: a change of the wall clock does not move it. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, fire) {
    if (delayMs >= WHEEL_FROM_MS) {
      const timer = wheel.set(delayMs, fire);
      return () => timer.cancel();
    }
    let turn: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      // After the process was paused, timers fire before answers that arrived in the meantime. Let
      // the answers go first. Not unreferenced, because the event loop would then sleep until
      // something else happens.
      turn = setImmediate(fire);
    }, delayMs).unref();
    return () => {
      clearTimeout(timer);
      clearImmediate(turn);
    };
  },
};
