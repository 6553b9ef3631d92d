/** Cancels a timer. Does nothing if it has already fired. */
export type CancelTimer = () => void;

/** The engine's only source of time, so that tests can move it. */
export interface Clock {
  /** Milliseconds since some fixed moment. Never goes back. */
  now(): number;
  /** Calls `fire` once, `delayMs` milliseconds from now. Never keeps the process alive. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** Node fires a longer timer at once, so a longer wait is split. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The process's monotonic clock: a change of the wall clock does not move it. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, fire) {
    let timer: NodeJS.Timeout;
    let turn: NodeJS.Immediate | undefined;
    // After the process was paused, timers fire before answers that arrived in the meantime. Let
    // the answers go first.
    const due = (): void => {
      // Not unreferenced, because the event loop would then sleep until something else happens.
      turn = setImmediate(fire);
    };
    const start = (remainingMs: number): void => {
      const pieceMs = Math.min(remainingMs, LONGEST_TIMER_MS);
      timer = setTimeout(
        () => (pieceMs < remainingMs ? start(remainingMs - pieceMs) : due()),
        pieceMs,
      ).unref();
    };
    start(delayMs);
    return () => {
      clearTimeout(timer);
      clearImmediate(turn);
    };
  },
};
