/** Schedules are no finer than this, in milliseconds. */
const FINEST_MS = 1_000;

/**
 * The last moment at or before `nowMs` at which something was due. Found by what is due next after a
 * moment, because schedules only tell that: from further and further back, then by halves.
 */
export function lastDue(nextAfter: (moment: number) => number, nowMs: number): number {
  let backMs = FINEST_MS;
  while (nextAfter(nowMs - backMs) > nowMs) backMs *= 2;
  let before = nowMs - backMs;
  let after = nowMs;
  while (after - before > FINEST_MS) {
    const middle = Math.floor((before + after) / 2);
    if (nextAfter(middle) > nowMs) after = middle;
    else before = middle;
  }
  return nextAfter(before);
}
