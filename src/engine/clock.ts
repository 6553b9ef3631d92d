/** Cancels a timer; harmless when it has fired. */
export type CancelTimer = () => void;

/** The engine's only source of time, so that tests can move it. */
export interface Clock {
  /** Milliseconds since some fixed point; never goes back. */
  now(): number;
  /** Calls `fire` once, `delayMs` milliseconds from now. Never keeps the process alive. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** Node fires a longer timer at once, so a longer wait is cut in pieces. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The process's monotonic clock: a change of the wall clock does not move it. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, fire) {
    let timer: NodeJS.Timeout;
    let turn: NodeJS.Immediate | undefined;
    // After a standstill timers come before all that has arrived meanwhile: first the answers.
    const due = (): void => {
      // Not unreferenced: the loop would sleep on it until something else happens.
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
