import { attempt, type Awaitable, Failure } from './awaitable.js';
import type { Clock } from './clock.js';
import { outside, settleLater } from './lease.js';
import type { ReplayCache } from './replay-cache.js';
import type { IdempotencyStore } from './store.js';
import type { StoreCalls } from './store-calls.js';

/** What taking back needs of the engine. */
interface Surroundings {
  readonly calls: StoreCalls;
  readonly clock: Clock;
  readonly replays?: ReplayCache | undefined;
  inBackground(work: Promise<void>): void;
}

/** What is on record of an operation, and for how long, in milliseconds. */
export interface Recorded {
  readonly ids: readonly string[];
  readonly ttlMs: number;
  /** The place that has the records, if it is not the store of the calls. */
  readonly place?: ((store: IdempotencyStore) => Awaitable<IdempotencyStore>) | undefined;
}

/**
 * Deletes the records of an operation that was completed, because it will come again and has to run
 * then. Repeats that until the store answers, for as long as the records would be kept.
 */
export async function takeBack(
  around: Surroundings,
  { ids, ttlMs, place = (store) => store }: Recorded,
  failed: (cause: unknown) => void,
): Promise<void> {
  const forget = async (store: IdempotencyStore): Promise<true> => {
    const own = await place(store);
    for (const id of ids) {
      around.replays?.forget(id);
      await own.forget(id);
      // A duplicate may have read it in the meantime.
      around.replays?.forget(id);
    }
    return true;
  };
  const tryOnce = async (): Promise<true | Failure> => {
    const done = await attempt(() => around.calls.call('forget', forget));
    if (done instanceof Failure) failed(done.cause);
    return done;
  };
  if (!((await tryOnce()) instanceof Failure)) return;
  await outside(() => {
    const later = settleLater(around.clock, ttlMs, tryOnce, ignored, ignored);
    around.inBackground(later);
    return later;
  });
}

function ignored(): void {
  // Whoever waits for it goes on in either case.
}
