import { createHash, randomUUID } from 'node:crypto';
import { wrongOption } from '../../engine/configuration-error.js';
import { messageOf } from '../../engine/driver-errors.js';
import {
  type AcquireRequest,
  type AcquireResult,
  type Awaitable,
  type CompleteRequest,
  type ExtendRequest,
  type HoldRequest,
  type IdempotencyStore,
  isPurging,
  type IssueRequest,
  type ListRequest,
  type RecordPage,
  type RecordView,
  type ReleaseRequest,
  type SaveStepRequest,
  type StorePart,
} from '../../engine/store.js';

export interface ShardedStoreOptions {
  /**
   * Raise it by one when you change how many shards there are or their order, once every record of
   * the old order has expired. Without it, a changed order stops the application.
   * @default 1
   */
  readonly generation?: number;
}

/** How long a shard remembers its place, in milliseconds: longer than records are kept. */
const PLACE_TTL_MS = 400 * 86_400_000;
const PLACE_LEASE_MS = 10_000;

const MOST_SHARDS = 1_024;

/** How much of an id, which is a digest in hexadecimal, chooses its shard. */
const DIGITS = 8;

/**
 * Several stores side by side: each record is on the one that its id names. While one of them fails,
 * calls for its records are refused, and all others go on.
 *
 * A record is looked for on one shard only, so the number of shards and their order must not change
 * while there are records. Each shard remembers its place, and an application with another order does
 * not start. Transactions (`transaction`) and limits (`limits`) are refused: no shard sees all of them.
 *
 * @throws {@link IdempotencyConfigurationError} for fewer than two stores, the same one twice, or one
 *   whose place depends on the call
 *
 * @example
 * ```ts
 * shardedStore(urls.map((url) => new RedisStore({ client: new Redis(url) })));
 * ```
 */
export function shardedStore(
  shards: readonly IdempotencyStore[],
  options: ShardedStoreOptions = {},
): ShardedStore {
  return new ShardedStore(shards, options);
}

/** See {@link shardedStore}. */
export class ShardedStore implements IdempotencyStore {
  readonly isVolatile: boolean;
  /** Present if every shard has it. */
  readonly watch?: NonNullable<IdempotencyStore['watch']>;
  /** One shard after the other. Present if every shard has it. */
  readonly list?: (request: ListRequest) => Promise<RecordPage>;
  /** Present if one of the shards has it. */
  readonly purgeExpired?: (limit: number) => Promise<number>;
  private readonly parts: readonly StorePart[];
  private readonly generation: number;

  constructor(shards: readonly IdempotencyStore[], { generation = 1 }: ShardedStoreOptions = {}) {
    checkShards(shards);
    checkGeneration(generation);
    this.generation = generation;
    this.parts = shards.map((store, i) => ({
      name: `shard ${i + 1} of ${shards.length}`,
      store,
    }));
    this.isVolatile = shards.some(({ isVolatile }) => isVolatile === true);
    if (shards.every((shard) => 'watch' in shard && typeof shard.watch === 'function'))
      this.watch = (id, onChange) => this.of(id).watch!(id, onChange);
    if (shards.every((shard) => 'list' in shard && typeof shard.list === 'function'))
      this.list = (request) => this.page(request);
    if (shards.some(isPurging)) this.purgeExpired = (limit) => this.purge(limit);
  }

  partOf(id: string): StorePart {
    const { parts } = this;
    return parts[parseInt(id.slice(0, DIGITS), 16) % parts.length] ?? parts[0]!;
  }

  /** A shard that cannot be reached yet only warns, and is asked for its place at the next start. */
  async start(warn: (warning: string) => void, largestReplyBytes?: number): Promise<void> {
    await Promise.all(
      this.parts.map(async ({ name, store }, i) => {
        await store.start?.((warning) => warn(`${name}: ${warning}`), largestReplyBytes);
        await this.takePlace(store, i, (warning) => warn(`${name}: ${warning}`));
      }),
    );
  }

  acquire(request: AcquireRequest): Awaitable<AcquireResult> {
    return this.of(request.id).acquire(request);
  }

  extend(request: ExtendRequest): Awaitable<boolean> {
    return this.of(request.id).extend(request);
  }

  complete(request: CompleteRequest): Awaitable<boolean> {
    return this.of(request.id).complete(request);
  }

  release(request: ReleaseRequest): Awaitable<boolean> {
    return this.of(request.id).release(request);
  }

  hold(request: HoldRequest): Awaitable<boolean> {
    return this.of(request.id).hold(request);
  }

  saveStep(request: SaveStepRequest): Awaitable<boolean> {
    return this.of(request.id).saveStep(request);
  }

  issue(request: IssueRequest): Awaitable<boolean> {
    return this.of(request.id).issue(request);
  }

  find(id: string): Awaitable<RecordView | undefined> {
    return this.of(id).find(id);
  }

  forget(id: string): Awaitable<boolean> {
    return this.of(id).forget(id);
  }

  async entities(): Promise<readonly NewableFunction[]> {
    const all = await Promise.all(
      this.parts.map(async ({ store }) => (await store.entities?.()) ?? []),
    );
    return all.flat();
  }

  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.parts.map(async ({ store }) => store.close?.()));
    throwFirst(closed);
  }

  private of(id: string): IdempotencyStore {
    return this.partOf(id).store;
  }

  /** A page is of one shard. The cursor names it. */
  private async page({ after = '0:', ...request }: ListRequest): Promise<RecordPage> {
    const [, number, within] = /^(\d{1,4}):(.*)$/s.exec(after) ?? [];
    const part = this.parts[Number(number)];
    if (part === undefined) throw new Error('The cursor does not come from a list of this store.');
    const page = await part.store.list!({ ...request, after: within || undefined });
    const at = Number(number) + 1;
    const next = at < this.parts.length ? `${at}:` : undefined;
    return {
      records: page.records,
      next: page.next === undefined ? next : `${number}:${page.next}`,
    };
  }

  /** One shard that fails does not keep the others from it. */
  private async purge(limit: number): Promise<number> {
    let deleted = 0;
    const purged: PromiseSettledResult<number>[] = [];
    for (const { store } of this.parts) {
      if (!isPurging(store) || deleted >= limit) continue;
      const [result] = await Promise.allSettled([
        (async () => store.purgeExpired(limit - deleted))(),
      ]);
      purged.push(result);
      if (result.status === 'fulfilled') deleted += result.value;
    }
    if (deleted === 0) throwFirst(purged);
    return deleted;
  }

  /**
   * Writes down which shard this is, or compares it with what is written.
   *
   * @throws {@link IdempotencyConfigurationError} if it was another one
   */
  private async takePlace(
    store: IdempotencyStore,
    index: number,
    warn: (warning: string) => void,
  ): Promise<void> {
    const id = digest(`nestjs-idempotency:shards:${this.generation}`);
    const owner = randomUUID();
    const place = `${index + 1} of ${this.parts.length}`;
    const times = { leaseMs: PLACE_LEASE_MS, ttlMs: PLACE_TTL_MS };
    let before: string | undefined;
    try {
      const result = await store.acquire({ id, owner, fingerprint: digest(place), ...times });
      if (result.outcome === 'acquired')
        await store.complete({ id, owner, reply: Buffer.from(place), ttlMs: PLACE_TTL_MS });
      if (result.outcome !== 'mismatch') return;
      const { reply } = (await store.find(id)) ?? {};
      before = reply === undefined ? 'another one' : Buffer.from(reply).toString();
    } catch (error) {
      return warn(`Whether its place has changed could not be checked (${messageOf(error)}).`);
    }
    throw wrongOption(
      'shards of shardedStore()',
      `the store that was shard ${before}, as shard ${place}`,
      'the same stores in the same order as before, because a record is looked for on one shard only',
      'Restore the order. If you mean to change it, wait until all records have expired (the longest `ttl`) and raise `generation`.',
    );
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function checkGeneration(generation: unknown): void {
  if (!(Number.isSafeInteger(generation) && Number(generation) >= 1))
    throw wrongOption(
      'generation of shardedStore()',
      generation,
      'a whole number, 1 or more',
      'Leave it out to use 1.',
    );
}

function checkShards(shards: unknown): void {
  const wrong = (accepted: string, remedy: string): never => {
    throw wrongOption('shards of shardedStore()', shards, accepted, remedy);
  };
  if (!Array.isArray(shards) || shards.length < 2 || shards.length > MOST_SHARDS)
    return wrong(
      `a list of 2 to ${MOST_SHARDS} stores`,
      'With one store, pass that store to the module.',
    );
  const stores = shards as readonly Partial<IdempotencyStore>[];
  if (new Set(stores).size < stores.length)
    wrong('different stores', 'Make one store for each server.');
  for (const store of stores) {
    if (typeof store?.acquire !== 'function')
      wrong('stores', 'Pass stores such as `new RedisStore({ client })`.');
    if (store.ofCall !== undefined || store.partOf !== undefined)
      wrong(
        'stores that keep all their records in one place',
        'Pass a store with one data source, and no store that is made of others.',
      );
  }
}
