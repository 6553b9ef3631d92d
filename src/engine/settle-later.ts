import { Failure } from './attempt.js';
import type { Awaitable } from './awaitable.js';
import type { Clock } from './clock.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Repeats a settling verb until the store answers, with growing pauses. Meanwhile the owner
 * keeps renewing its lease, so that nobody runs what has been done.
 *
 * @param giveUpAfterMs after this nothing of the record would be left
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
