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
   * How long it may take. The next call goes on.
   * @default '10s'
   */
  readonly time?: Duration;
}

/** What one call deleted. */
export interface PurgeResult {
  readonly deleted: number;
  /** False if its time was over before all expired records were deleted. */
  readonly isComplete: boolean;
}

const DEFAULTS = { batch: 1_000, time: '10s' } as const satisfies PurgeCallOptions;
const MOST = 100_000;

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
  const endsAt = performance.now() + parseDuration('time of purge()', time);
  if (!isPurging(store)) return { deleted: 0, isComplete: true };
  let deleted = 0;
  let isComplete = false;
  do {
    const now = await store.purgeExpired(batch);
    deleted += now;
    isComplete = now < batch;
  } while (!isComplete && performance.now() < endsAt);
  return { deleted, isComplete };
}
