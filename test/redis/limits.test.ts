import { Cluster, Redis } from 'ioredis';
import type { AcquireRequest, AcquireResult } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createHash } from 'node:crypto';
import { completedOn, claimOf } from '../support/claims.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { type RedisCluster, startRedisCluster } from '../support/servers/redis-cluster.js';
import { APP_CLIENTS } from './support/clients.js';

const BUCKET = createHash('sha256').update('caller').digest('hex');
const REPLY = Buffer.from('reply');
const HOUR_MS = 3_600_000;

function counted(given: Partial<AcquireRequest> = {}): AcquireRequest {
  const limits = { inFlight: 2, newKeys: 100, windowMs: 60_000 };
  return claimOf({ bucket: BUCKET, limits, ...given });
}

function outcomeOf(result: AcquireResult): string {
  return result.outcome;
}

describe.each(APP_CLIENTS)('limits of callers in Redis through $name', ({ open }) => {
  let server: PrivateServer;
  let admin: Redis;
  let client: ReturnType<typeof open>;

  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.port);
    client = open(server.port);
  });

  beforeEach(async () => {
    await admin.flushdb();
    await completedOn(client.store, counted());
    await client.store.extend(counted());
    await client.store.release(counted());
    await admin.flushdb();
    await admin.config('RESETSTAT');
  });

  afterAll(async () => {
    await client.close();
    admin.disconnect();
    await server.stop();
  });

  async function scripts(): Promise<number> {
    const stats = await admin.info('commandstats');
    return Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
  }

  it('cost no command: two for a first call, one for a replay, a refusal, a renewal', async () => {
    const { id } = await completedOn(client.store, counted());
    expect(await scripts()).toBe(2);
    expect(outcomeOf(await client.store.acquire(counted({ id })))).toBe('completed');
    expect(await scripts()).toBe(3);
    const running = [counted(), counted()];
    for (const claim of running) await client.store.acquire(claim);
    expect(await scripts()).toBe(5);
    expect(outcomeOf(await client.store.acquire(counted()))).toBe('limited');
    expect(await scripts()).toBe(6);
    expect(await client.store.extend(running[0]!)).toBe(true);
    expect(await scripts()).toBe(7);
  });

  it('leave no key of what they refuse, and none of a caller that has nothing', async () => {
    // Long enough for the three calls that follow, on any machine.
    const short = { inFlight: 1, newKeys: 5, windowMs: 3_000 };
    const claim = counted({ limits: short, leaseMs: 3_000, ttlMs: 10_000 });
    await client.store.acquire(claim);
    const before = (await admin.keys('*')).sort();
    expect(outcomeOf(await client.store.acquire(counted({ limits: short })))).toBe('limited');
    expect((await admin.keys('*')).sort()).toEqual(before);
    expect(before).toEqual([`idempotency:${claim.id}`, `idempotency:caller:${BUCKET}`].sort());
    await eventually(async () => (await admin.keys('*:caller:*')).length === 0);
  });

  it('touch no bucket where callers are not limited', async () => {
    const { id } = await completedOn(client.store);
    expect(await admin.keys('*')).toEqual([`idempotency:${id}`]);
  });

  it('count nothing from before a clock that was set back', async () => {
    for (const claim of [counted(), counted()]) await client.store.acquire(claim);
    expect(outcomeOf(await client.store.acquire(counted()))).toBe('limited');
    const name = `idempotency:caller:${BUCKET}`;
    for (const member of await admin.zrange(name, 0, -1))
      await admin.zincrby(name, member.startsWith('-') ? -HOUR_MS : HOUR_MS, member);
    expect(outcomeOf(await client.store.acquire(counted()))).toBe('acquired');
    expect(await admin.pttl(name)).toBeLessThanOrEqual(600_000);
    await client.store.acquire(counted());
    expect(outcomeOf(await client.store.acquire(counted()))).toBe('limited');
  });
});

describe('limits of callers in a Redis Cluster', () => {
  let cluster: RedisCluster;
  let client: Cluster;
  let store: RedisStore;
  let sent: string[];
  /** Holds back the third command, which counts a claim. */
  let gate: Promise<unknown> | undefined;
  let late: Promise<unknown> | undefined;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    client = new Cluster(cluster.ports.map((port) => ({ host: '127.0.0.1', port })));
    store = new RedisStore({ client });
    const run = (
      client as unknown as { evalshaBuffer(...args: unknown[]): Promise<unknown> }
    ).evalshaBuffer.bind(client);
    Object.assign(client, {
      evalshaBuffer: (...args: unknown[]) => {
        sent.push(String(args[2]).includes(':caller:') ? 'bucket' : 'record');
        if (gate === undefined || sent.length !== 3) return run(...args);
        return (late = gate.then(() => run(...args)));
      },
    });
    sent = [];
    await completedOn(store, counted());
  }, 60_000);

  beforeEach(() => {
    sent = [];
  });

  afterAll(async () => {
    store?.close();
    client?.disconnect();
    await cluster?.stop();
  });

  it('ask for record and bucket at the same time, and wait for nothing more', async () => {
    const claim = counted();
    const asked = store.acquire(claim);
    expect([...sent].sort()).toEqual(['bucket', 'record']);
    expect(outcomeOf(await asked)).toBe('acquired');
    expect(sent).toHaveLength(3);
    await store.complete({ ...claim, reply: REPLY });
    expect(sent).toHaveLength(5);
  });

  it('count nothing for a replay', async () => {
    const { id } = await completedOn(store, counted());
    sent = [];
    expect(outcomeOf(await store.acquire(counted({ id })))).toBe('completed');
    expect([...sent].sort()).toEqual(['bucket', 'record']);
  });

  it('count a renewal that arrives before its claim', async () => {
    const bucket = createHash('sha256').update('renewed early').digest('hex');
    const claim = counted({ bucket, leaseMs: 10_000 });
    const name = `idempotency:caller:${bucket}`;
    const lease = async (): Promise<number> =>
      Number(await client.zscore(name, `+idempotency:${claim.id}`)) - Date.now();
    let arrive = (): void => undefined;
    gate = new Promise<void>((resolve) => (arrive = resolve));
    await store.acquire(claim);
    gate = undefined;
    await store.extend({ ...claim, leaseMs: HOUR_MS });
    await eventually(async () => (await lease()) > HOUR_MS / 2);
    arrive();
    await late;
    expect(await lease()).toBeGreaterThan(HOUR_MS / 2);
  });

  it('wait for a bucket that answers late rather than run without it', async () => {
    const bucket = createHash('sha256').update('on a node that stops').digest('hex');
    const node = await cluster.ownerOf(`idempotency:caller:${bucket}`);
    let claim = counted({ bucket });
    while ((await cluster.ownerOf(`idempotency:${claim.id}`)) === node) claim = counted({ bucket });
    const admin = new Redis(node.port);
    await admin.client('PAUSE', 1_500, 'ALL');
    const asked = store.acquire(claim);
    const first = await Promise.race([
      asked.then(outcomeOf),
      new Promise((resolve) => setTimeout(resolve, 500, 'waits')),
    ]);
    expect(first).toBe('waits');
    expect(outcomeOf(await asked)).toBe('acquired');
    admin.disconnect();
  });
});

describe('limits of callers in a Cluster that the client takes for one node', () => {
  it('are kept all the same', async () => {
    const server = await startRedis('--cluster-enabled', 'yes');
    const client = new Redis(server.port);
    try {
      await client.cluster('ADDSLOTSRANGE', 0, 16_383);
      await eventually(async () => (await client.cluster('INFO')).includes('cluster_state:ok'));
      const store = new RedisStore({ client });
      const running = [counted(), counted()];
      for (const claim of running) expect(outcomeOf(await store.acquire(claim))).toBe('acquired');
      const refused = counted();
      expect(outcomeOf(await store.acquire(refused))).toBe('limited');
      expect(await store.find(refused.id)).toBeUndefined();
      expect(await store.complete({ ...running[0]!, reply: REPLY })).toBe(true);
      await eventually(async () => outcomeOf(await store.acquire(counted())) === 'acquired');
      store.close();
    } finally {
      client.disconnect();
      await server.stop();
    }
  });
});
