import { setTimeout as sleep } from 'node:timers/promises';

const STEP_MS = 250;
/** A busy machine may keep this process waiting: nobody could have answered meanwhile. */
const LONGEST_STEP_MS = 50;

/**
 * Calls back after so much time in which this process ran.
 *
 * @returns a function that calls it off
 */
export function afterPatience(ms: number, over: () => void): () => void {
  let left = ms;
  const timer = setInterval(() => {
    left -= STEP_MS;
    if (left > 0) return;
    clearInterval(timer);
    over();
  }, STEP_MS);
  return () => clearInterval(timer);
}

/** Whether something becomes true within so much time in which this process ran. */
export async function within(ms: number, condition: () => boolean): Promise<boolean> {
  let left = ms;
  while (!condition()) {
    if (left <= 0) return false;
    const since = performance.now();
    await sleep(2);
    left -= Math.min(performance.now() - since, LONGEST_STEP_MS);
  }
  return true;
}
