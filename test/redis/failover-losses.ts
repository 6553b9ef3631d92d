import { Cluster, Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimOf } from '../support/claims.js';
import { bytes, tally } from '../support/engine.js';
import { eventually } from '../support/http.js';
import { type PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { startRedisCluster } from '../support/servers/redis-cluster.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { AppNode } from '../processes/support/nodes.js';

/** The first copy of everything, instead of after a few seconds in which more replicas may ask. */
const AT_ONCE = ['--repl-diskless-sync-delay', '0'];
const WRITERS = 8;
const FAILS_OVER_WITHIN_MS = 20_000;
const SYNCS_WITHIN_MS = 20_000;
/** What a busy machine may add. */
const SLACK_MS = 1_500;

/** An operation that the primary said yes to, and when that was last. */
interface Acknowledged {
  readonly id: string;
  readonly what: 'claim' | 'reply';
  readonly at: number;
}

/** First calls one after the other, until the store is gone. */
async function write(
  store: RedisStore,
  newId: () => Promise<string> | string,
): Promise<Acknowledged[]> {
  const acknowledged = new Map<string, Acknowledged>();
  const writer = async (): Promise<void> => {
    for (;;) {
      const claim = claimOf({ id: await newId() });
      await store.acquire(claim);
      acknowledged.set(claim.id, { id: claim.id, what: 'claim', at: performance.now() });
      await store.complete({ ...claim, reply: bytes('reply') });
      acknowledged.set(claim.id, { id: claim.id, what: 'reply', at: performance.now() });
    }
  };
  await Promise.allSettled(Array.from({ length: WRITERS }, writer));
  return [...acknowledged.values()];
}

/** What is not on the new primary as it was acknowledged by the old one. */
async function lostOf(
  store: RedisStore,
  acknowledged: readonly Acknowledged[],
): Promise<Acknowledged[]> {
  const lost: Acknowledged[] = [];
  for (const each of acknowledged) {
    const record = await store.find(each.id);
    const isThere = each.what === 'claim' ? record !== undefined : record?.state === 'completed';
    if (!isThere) lost.push(each);
  }
  return lost;
}

function report(name: string, all: readonly Acknowledged[], lost: readonly Acknowledged[]): void {
  const counts = tally(lost.map(({ what }) => what));
  console.info(
    `${name}: of ${all.length} operations ${counts.reply ?? 0} lost their reply and ${counts.claim ?? 0} their claim`,
  );
}

export function describeReplicas(rows: readonly number[]): void {
  describe.each(rows)('a replica that is %d ms behind and becomes the primary', (lagMs) => {
    let primary: PrivateServer;
    let replica: PrivateServer;
    let link: TcpProxy;

    beforeAll(async () => {
      [primary, replica] = await Promise.all([startRedis(...AT_ONCE), startRedis()]);
      link = await TcpProxy.start(primary.port);
      const admin = new Redis(replica.port);
      await admin.replicaof('127.0.0.1', link.port);
      await eventually(
        async () => (await admin.info('replication')).includes('link_status:up'),
        SYNCS_WITHIN_MS,
      );
      admin.disconnect();
      link.delayMs = lagMs;
    }, 60_000);

    afterAll(async () => {
      await link?.stop();
      await primary?.stop();
      await replica?.stop();
    });

    it('has all but what was acknowledged in that time, which runs again', async () => {
      const client = new Redis(primary.port, { retryStrategy: null, maxRetriesPerRequest: 0 });
      client.on('error', () => undefined);
      let count = 0;
      const writing = write(new RedisStore({ client }), () => `operation ${count++}`);
      await sleep(2_000);
      const killedAt = performance.now();
      // Its answers that are still on their way to the replica are lost with it.
      link.cutAll();
      await primary.kill();
      const acknowledged = await writing;
      const admin = new Redis(replica.port);
      await admin.replicaof('NO', 'ONE');
      admin.disconnect();

      const promoted = new Redis(replica.port);
      const node = new AppNode({
        store: new RedisStore({ client: promoted }),
        close: () => promoted.disconnect(),
      });
      const lost = await lostOf(node.store, acknowledged);
      report(`a replica ${lagMs} ms behind`, acknowledged, lost);
      expect(acknowledged.length).toBeGreaterThan(100);
      const oldest = Math.min(killedAt, ...lost.map(({ at }) => at));
      expect(killedAt - oldest).toBeLessThan(lagMs + SLACK_MS);
      expect(lost.length).toBeGreaterThanOrEqual(lagMs > 0 ? 1 : 0);

      const kept = acknowledged.find((each) => each.what === 'reply' && !lost.includes(each))!;
      expect(await answer(node, kept)).toBe('replay reply');
      for (const missing of lost.filter(({ what }) => what === 'reply').slice(0, 10)) {
        const isClaimed = (await node.store.find(missing.id)) !== undefined;
        expect(await answer(node, missing)).toBe(isClaimed ? 'IDEMPOTENCY_KEY_IN_USE' : 'execute');
      }
      await node.close();
    }, 60_000);

    async function answer(node: AppNode, { id }: Acknowledged): Promise<string> {
      return (await node.ask({ id, fingerprint: 'fingerprint' })).told;
    }
  });
}

export function describeClusterLosses(): void {
  describe('a Cluster whose primary is killed while it writes', () => {
    it('loses next to nothing when the replica is near, and goes on there', async () => {
      const cluster = await startRedisCluster({ withReplica: true });
      const client = new Cluster(cluster.ports.slice());
      client.on('error', () => undefined);
      const store = new RedisStore({ client });
      let count = 0;
      const onFirst = async (): Promise<string> => {
        for (;;) {
          const id = `operation ${count++}`;
          if ((await cluster.ownerOf(`idempotency:${id}`)) === cluster.masters[0]) return id;
        }
      };
      const first = new Redis(cluster.masters[0]!.port, {
        retryStrategy: null,
        maxRetriesPerRequest: 0,
      });
      first.on('error', () => undefined);
      const writing = write(new RedisStore({ client: first }), onFirst);
      await sleep(2_000);
      await cluster.masters[0]!.kill();
      const acknowledged = await writing;
      await eventually(async () => {
        await store.find(acknowledged[0]!.id);
        return true;
      }, FAILS_OVER_WITHIN_MS);
      const lost = await lostOf(store, acknowledged);
      report('a Cluster', acknowledged, lost);
      expect(acknowledged.length).toBeGreaterThan(100);
      expect(lost.length).toBeLessThanOrEqual(WRITERS * 4);
      client.disconnect();
      await cluster.stop();
    }, 90_000);
  });
}
