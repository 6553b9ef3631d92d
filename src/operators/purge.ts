import { wrongOption } from '../engine/configuration-error.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import { type IdempotencyStore, isPurging } from '../engine/store.js';

/** How much one call may delete. */
export interface PurgeCallOptions {
  /**
   * The most records that one statement deletes; 1 to 100 000.
   * @default 1_000
   */
  readonly batch?: number;
  /**
   * How long it may take, also if the store does not answer. The next call goes on.
   * @default '10s'
   */
  readonly time?: Duration;
}

/** What one call deleted. */
export interface PurgeResult {
  /** Without what a statement deletes that had not ended when the time was over. */
  readonly deleted: number;
  /** False if its time was over before the store said that nothing is left to delete. */
  readonly isComplete: boolean;
}

const DEFAULTS = { batch: 1_000, time: '10s' } as const satisfies PurgeCallOptions;
const MOST = 100_000;
/** What Node's timers can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Deletes expired records in small statements. A store whose server deletes them by itself has nothing
 * to do.
 *
 * @throws {@link IdempotencyConfigurationError} for a wrong option, and what the store throws
 */
export async function purgeStore(
  store: IdempotencyStore,
  options: PurgeCallOptions,
): Promise<PurgeResult> {
  const { batch, time } = { ...DEFAULTS, ...options };
  if (!Number.isInteger(batch) || batch < 1 || batch > MOST)
    throw wrongOption('batch of purge()', batch, `a whole number from 1 to ${MOST}`);
  const timeMs = parseDuration('time of purge()', time);
  if (!isPurging(store)) return { deleted: 0, isComplete: true };
  const endsAt = performance.now() + timeMs;
  let cancel: NodeJS.Timeout | undefined;
  const timeOver = new Promise<undefined>((over) => {
    cancel = setTimeout(() => over(undefined), Math.min(timeMs, LONGEST_TIMER_MS));
  });
  let deleted = 0;
  try {
    do {
      // A statement that ends too late is not waited for. The race takes its error, too.
      const now = await Promise.race([(async () => store.purgeExpired(batch))(), timeOver]);
      if (now === undefined) break;
      deleted += now;
      // Fewer than asked for may mean that a part of the store has failed. Asked again, it says so.
      if (now === 0) return { deleted, isComplete: true };
    } while (performance.now() < endsAt);
    return { deleted, isComplete: false };
  } finally {
    clearTimeout(cancel);
  }
}
