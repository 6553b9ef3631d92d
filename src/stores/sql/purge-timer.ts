import { wrongOption } from '../../engine/configuration-error.js';

/** How the store deletes records whose ttl has passed. */
export interface PurgeOptions {
  /**
   * How long the store waits after it has deleted all expired records, in milliseconds. Nodes
   * spread their turns over a tenth of it. 1 to 86 400 000, a day.
   * @default 60_000
   */
  readonly everyMs: number;
  /**
   * The most records that one statement deletes. While there are more, the store continues, with a
   * pause as long as the statement took. 1 to 100 000.
   * @default 1_000
   */
  readonly batch: number;
}

const DEFAULT_PURGE = { everyMs: 60_000, batch: 1_000 } as const satisfies PurgeOptions;

/** @throws {@link IdempotencyConfigurationError} if a number is out of range */
export function purgeOptions(store: string, given: Partial<PurgeOptions>): PurgeOptions {
  const options = { ...DEFAULT_PURGE, ...given };
  checkRange(`purge.everyMs of ${store}`, options.everyMs, 86_400_000);
  checkRange(`purge.batch of ${store}`, options.batch, 100_000);
  return options;
}

function checkRange(option: string, given: number, most: number): void {
  if (Number.isInteger(given) && given >= 1 && given <= most) return;
  throw wrongOption(
    option,
    given,
    `a whole number from 1 to ${most}`,
    'Leave it out to use the default. `purge: false` switches the purge off.',
  );
}

/**
 * Purges one place after the other. One that fails keeps no other from it.
 *
 * @param purge how to purge a place of which so many records were deleted elsewhere
 * @throws the first failure, unless the other places may have more to delete: their records come first
 */
export async function purgeEach<Place>(
  places: Iterable<Place>,
  limit: number,
  purge: (place: Place, deleted: number) => Promise<number>,
): Promise<number> {
  let deleted = 0;
  const errors: unknown[] = [];
  for (const place of places)
    try {
      deleted += await purge(place, deleted);
    } catch (error) {
      errors.push(error);
    }
  if (errors.length > 0 && deleted < limit) throw errors[0];
  return deleted;
}

/** Deletes expired records at intervals. Does not keep the process alive. */
export class PurgeTimer {
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly purge: (limit: number) => Promise<number>,
    private readonly options: PurgeOptions,
    private readonly warn: (warning: string) => void,
  ) {
    this.rest();
  }

  /** Resolves when no statement is running any more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private rest(): void {
    this.after(this.options.everyMs * (0.9 + 0.2 * Math.random()));
  }

  private after(ms: number): void {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      this.running = this.run();
    }, ms).unref();
  }

  private async run(): Promise<void> {
    const begin = performance.now();
    let isMore = false;
    try {
      isMore = (await this.purge(this.options.batch)) >= this.options.batch;
    } catch (error) {
      // Only space depends on it, because expired records count as absent. The next turn tries
      // again.
      this.warn(`Expired idempotency records could not be deleted (${String(error)}).`);
    }
    if (isMore) this.after(performance.now() - begin);
    else this.rest();
  }
}
