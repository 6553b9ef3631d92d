import {
  type AcquireRequest,
  type AcquireResult,
  type CompleteRequest,
  type ExtendRequest,
  type HoldRequest,
  type IdempotencyStore,
  type IssueRequest,
  type Limited,
  type ListedRecord,
  type ListRequest,
  type RecordPage,
  type RecordState,
  type RecordView,
  type ReleaseRequest,
  type SaveStepRequest,
  type StoredOutcome,
  type Steps,
  StoreFullError,
} from '../../engine/store.js';
import { withoutContent } from '../../engine/driver-errors.js';
import { heldNote, settledNote, storyOf } from '../../engine/story.js';
import { checkServer } from './check-server.js';
import { HeldIndex, listedRecord } from './held-index.js';
import { RedisBuckets, type Script } from './redis-buckets.js';
import { type IoredisClient, IoredisConnection, isIoredis } from './ioredis-connection.js';
import { isNodeRedis, type NodeRedisClient, NodeRedisConnection } from './node-redis-connection.js';
import type { Argument, RedisConnection } from './redis-connection.js';
import { SCRIPTS } from './scripts.generated.js';
import { Watches } from './watches.js';
import { wrongOption } from '../../engine/configuration-error.js';

export interface RedisStoreOptions {
  /**
   * A client of the application: ioredis (single node, Sentinel or Cluster) or node-redis (client,
   * Sentinel or cluster, connected). It belongs to the application: the store never closes it.
   */
  readonly client: IoredisClient | NodeRedisClient;
  /**
   * The prefix of the store's keys.
   * @default 'idempotency:'
   */
  readonly prefix?: string;
}

/**
 * Keeps records in Redis 6.2 or newer, or Valkey: one key and one script call for each verb, with the server's
 * clock. Works in a Cluster.
 *
 * A failover can lose the latest records, because replication is asynchronous. Records must not be
 * evicted, so `maxmemory-policy` should be `noeviction`. The application warns if it is not.
 */
export class RedisStore implements IdempotencyStore {
  private readonly connection: RedisConnection;
  private readonly prefix: string;
  private readonly watches: Watches;
  private readonly buckets: RedisBuckets;
  private readonly held: HeldIndex;
  /** Records and buckets are on different nodes, so that no script has both. */
  private isSplit: boolean;

  /** @throws {@link IdempotencyConfigurationError} if it is not a Redis client */
  constructor({ client, prefix = 'idempotency:' }: RedisStoreOptions) {
    this.connection = connectionOf(client);
    this.prefix = prefix;
    this.watches = new Watches(this.connection, (key, mark) =>
      this.run(SCRIPTS.mark, [key], [mark]),
    );
    this.isSplit = this.connection.isCluster;
    this.buckets = new RedisBuckets(prefix, (...call) => this.run(...call));
    this.held = new HeldIndex(prefix, {
      run: (...call) => this.run(...call),
      find: (id) => this.find(id),
    });
  }

  /** @throws {@link IdempotencyConfigurationError} for a server that cannot keep records */
  async start(warn: (warning: string) => void): Promise<void> {
    this.watches.warn = warn;
    await checkServer(this.connection, warn);
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    const { id, owner, fingerprint, leaseMs, ttlMs, mustBeIssued, aboveToken = 0 } = request;
    const issued = mustBeIssued === true ? '1' : '0';
    const key = this.prefix + id;
    const mark = this.watches.markOf(key) ?? '';
    const { scope = '', label = '' } = request;
    const claim = [owner, fingerprint, `${leaseMs}`, `${ttlMs}`, issued, `${aboveToken}`, mark];
    const args = [...claim, scope, label];
    if (request.bucket !== undefined) return this.acquireCounted(request, request.bucket, args);
    return acquireResult(await this.run(SCRIPTS.acquire, [key], args));
  }

  extend({ id, owner, bucket, leaseMs, ttlMs }: ExtendRequest): Promise<boolean> {
    return this.askCounted(SCRIPTS.extend, id, bucket, [owner, `${leaseMs}`, `${ttlMs}`], leaseMs);
  }

  complete(request: CompleteRequest): Promise<boolean> {
    const { id, owner, bucket, reply, ttlMs, from = 'in-flight' } = request;
    if (from === 'held') return this.settle(SCRIPTS.complete, request, [owner, reply, `${ttlMs}`]);
    return this.askCounted(SCRIPTS.complete, id, bucket, [owner, reply, `${ttlMs}`, from]);
  }

  release(request: ReleaseRequest): Promise<boolean> {
    const { id, owner, bucket, ttlMs, from = 'in-flight', isUncounted } = request;
    const uncounted = isUncounted === true ? '1' : '0';
    if (from === 'held')
      return this.settle(SCRIPTS.release, request, [owner, `${ttlMs}`], [uncounted]);
    const args = [owner, `${ttlMs}`, from, uncounted];
    return this.askCounted(SCRIPTS.release, id, bucket, args);
  }

  /** In a Cluster, the index comes first, so that no held record is missing in it. */
  async hold(request: HoldRequest): Promise<boolean> {
    const { id, owner, bucket, reason } = request;
    const key = this.prefix + id;
    const args = [owner, reason, heldNote(request), id];
    if (!this.isSplit) {
      try {
        const counted = bucket === undefined ? [] : [this.buckets.nameOf(bucket)];
        return await this.ask(SCRIPTS.hold, [key, this.held.name, ...counted], args);
      } catch (error) {
        if (!isOfCluster(error)) throw error;
        this.isSplit = true;
      }
    }
    await this.held.enter(id);
    const isHeld = await this.ask(SCRIPTS.hold, [key], args);
    if (isHeld && bucket !== undefined) this.buckets.leave(bucket, key);
    return isHeld;
  }

  saveStep({ id, owner, name, value }: SaveStepRequest): Promise<boolean> {
    return this.ask(SCRIPTS.saveStep, [this.prefix + id], [owner, name, value]);
  }

  issue({ id, ttlMs }: IssueRequest): Promise<boolean> {
    return this.ask(SCRIPTS.issue, [this.prefix + id], [`${ttlMs}`]);
  }

  async find(id: string): Promise<RecordView | undefined> {
    const answer = (await this.run(SCRIPTS.find, [this.prefix + id], [])) as unknown[];
    return answer.length === 0 ? undefined : recordView(id, answer);
  }

  forget(id: string): Promise<boolean> {
    return this.ask(SCRIPTS.forget, [this.prefix + id], []);
  }

  /**
   * Held records come from an index. For any other state all keys are looked at, some for each page; not
   * in a Cluster.
   */
  list(request: ListRequest): Promise<RecordPage> {
    return request.state === 'held' ? this.held.list(request) : this.scan(request);
  }

  watch(id: string, onChange: () => void): () => void {
    return this.watches.add(this.prefix + id, onChange);
  }

  /** Closes the store's own connection, on which it listens for waiting duplicates. */
  close(): void {
    this.watches.close();
  }

  /** Nothing has to be made ready. */
  prepareLimits(): void {}

  /** A claim that counts, and is made only when its bucket has room. */
  private async acquireCounted(
    request: AcquireRequest,
    bucket: string,
    args: readonly string[],
  ): Promise<AcquireResult> {
    const { id, limits } = request;
    const { inFlight = 0, newKeys = 0, windowMs = 0 } = limits ?? {};
    const counted = [...args, `${inFlight}`, `${newKeys}`, `${windowMs}`];
    const key = this.prefix + id;
    if (this.isSplit) {
      const claim = (): Promise<unknown> => this.run(SCRIPTS.acquire, [key], counted);
      return acquireResult(await this.buckets.acquire(request, key, claim));
    }
    try {
      const keys = [key, this.buckets.nameOf(bucket)];
      return acquireResult(await this.run(SCRIPTS.acquire, keys, counted));
    } catch (error) {
      if (!isOfCluster(error)) throw error;
      this.isSplit = true;
      return this.acquireCounted(request, bucket, args);
    }
  }

  /** An operator's decision about a held record, which no caller's share has to do with. */
  private async settle(
    script: Script,
    { id, settledBy }: Pick<CompleteRequest, 'id' | 'settledBy'>,
    args: readonly Argument[],
    more: readonly Argument[] = [],
  ): Promise<boolean> {
    const how = [...args, 'held', settledNote(settledBy), ...more];
    const isSettled = await this.ask(script, [this.prefix + id], how);
    if (isSettled) this.held.leave([id], 0);
    return isSettled;
  }

  private async scan({ state, after = '0', limit }: ListRequest): Promise<RecordPage> {
    if (this.isSplit)
      throw new Error(
        `In a Redis Cluster only held records can be listed, not those that are ${state}.`,
      );
    const args = [after, `${limit}`, state];
    const [cursor, found] = (await this.run(SCRIPTS.scan, [this.prefix], args)) as [
      unknown,
      readonly unknown[],
    ];
    const records: ListedRecord[] = [];
    for (let i = 0; i + 1 < found.length; i += 2)
      records.push(listedRecord(recordView(String(found[i]), found[i + 1] as unknown[])));
    const next = String(cursor);
    return { records, next: next === '0' ? undefined : next };
  }

  /** A verb after which the claim counts for another lease, or not at all. */
  private async askCounted(
    script: Script,
    id: string,
    bucket: string | undefined,
    args: readonly Argument[],
    leaseMs?: number,
  ): Promise<boolean> {
    const key = this.prefix + id;
    if (bucket === undefined) return this.ask(script, [key], args);
    if (!this.isSplit) return this.ask(script, [key, this.buckets.nameOf(bucket)], args);
    const isDone = await this.ask(script, [key], args);
    if (isDone && leaseMs !== undefined) this.buckets.enter(bucket, key, leaseMs, 0);
    else if (isDone) this.buckets.leave(bucket, key);
    return isDone;
  }

  private async ask(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<boolean> {
    return Number(await this.run(script, keys, args)) === 1;
  }

  private async run(
    { sha1, source }: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    try {
      return await this.connection.evalsha(sha1, keys, args);
    } catch (error) {
      // The server was restarted, or its scripts were flushed.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT'))
        throw withMeaning(error);
      return this.connection.eval(source, keys, args).catch((again: unknown) => {
        throw withMeaning(again);
      });
    }
  }
}

/** At `maxmemory`, the server refuses anything that needs more memory. */
function withMeaning(error: unknown): unknown {
  withoutContent(error);
  if (!(error instanceof Error) || !/\bOOM\b/.test(error.message)) return error;
  return new StoreFullError('Redis has reached its maxmemory.', { cause: error });
}

function connectionOf(client: unknown): RedisConnection {
  if (typeof client === 'object' && client !== null) {
    if (isIoredis(client)) return new IoredisConnection(client);
    if (isNodeRedis(client)) return new NodeRedisConnection(client);
  }
  throw wrongOption(
    'client of RedisStore',
    client,
    'a client of ioredis (5 or newer) or of node-redis (5 or newer)',
    'Pass the client itself, such as `new RedisStore({ client: new Redis(url) })`.',
  );
}

function acquireResult(reply: unknown): AcquireResult {
  const answer = reply as readonly unknown[];
  const outcome = String(answer[0]) as StoredOutcome;
  switch (outcome) {
    case 'acquired':
      return {
        outcome,
        attempt: Number(answer[1]),
        fencingToken: Number(answer[2]),
        abandoned: Number(answer[3]) === 1,
        steps: stepsOf(answer[4] as readonly Buffer[]),
      };
    case 'completed':
      return { outcome, reply: answer[1] as Buffer, ttlRemainingMs: Number(answer[2]) };
    case 'in-flight':
      return { outcome, leaseRemainingMs: Number(answer[1]) };
    case 'held':
      return { outcome, reason: String(answer[1]) };
    case 'mismatch':
      return { outcome, fingerprint: String(answer[1]) };
    case 'limited':
      return {
        outcome,
        limit: String(answer[1]) as Limited['limit'],
        retryAfterMs: Number(answer[2]),
      };
    case 'unknown':
      return { outcome };
  }
}

/** A client of one node may be connected to a Cluster, or to a proxy before it. */
function isOfCluster(error: unknown): boolean {
  return error instanceof Error && /\bCROSSSLOT\b/.test(error.message);
}

function recordView(id: string, answer: readonly unknown[]): RecordView {
  const [state, owner, attempt, token, fingerprint, leaseRemaining, ttlRemaining, content, steps] =
    answer;
  const [scope, label, createdAt, claimedAt, heldAt, held, settledAt, settled] = answer.slice(9);
  const view = {
    id,
    state: String(state) as RecordState,
    owner: String(owner),
    attempt: Number(attempt),
    fencingToken: Number(token),
    fingerprint: String(fingerprint),
    steps: stepsOf(steps as readonly Buffer[]),
    ttlRemainingMs: Number(ttlRemaining) < 0 ? undefined : Number(ttlRemaining),
    story: storyOf({
      scope: String(scope),
      label: String(label),
      createdAt,
      claimedAt,
      heldAt,
      heldNote: String(held),
      settledAt,
      settledNote: String(settled),
    }),
  };
  switch (view.state) {
    case 'completed':
      return { ...view, reply: content as Buffer };
    case 'held':
      return { ...view, reason: String(content) };
    case 'in-flight':
      return { ...view, leaseRemainingMs: Number(leaseRemaining) };
    case 'issued':
    case 'released':
      return view;
  }
}

const NO_STEPS: Steps = new Map();

function stepsOf(flat: readonly Buffer[]): Steps {
  if (flat.length === 0) return NO_STEPS;
  const steps = new Map<string, Uint8Array>();
  for (let i = 0; i + 1 < flat.length; i += 2) steps.set(flat[i]!.toString(), flat[i + 1]!);
  return steps;
}
