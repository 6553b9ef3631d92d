import { Redis } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createSentinel } from 'redis';
import { type AppClient, AppNode, SLACK_MS, STORE_TIMEOUT_MS } from '../processes/support/nodes.js';
import { bytes, claimIn } from '../support/engine.js';
import { eventually } from '../support/http.js';
import {
  PRIMARY_NAME,
  type RedisSentinel,
  startRedisSentinel,
} from '../support/servers/redis-sentinel.js';

const FAILS_OVER_WITHIN_MS = 30_000;
const WAIT_MS = 20_000;

type Addresses = readonly { readonly host: string; readonly port: number }[];

function ofIoredis(client: Redis | Redis6): AppClient<RedisStore> {
  client.on('error', () => undefined);
  return { store: new RedisStore({ client }), close: () => client.disconnect() };
}

describe.each<{
  name: string;
  connect: (at: Addresses) => AppClient<RedisStore>;
  /** Its subscriptions do not move to the successor: duplicates then ask once a second. */
  losesSubscriptions?: true;
}>([
  {
    name: 'ioredis 5',
    connect: (at) => ofIoredis(new Redis({ sentinels: [...at], name: PRIMARY_NAME })),
  },
  {
    name: 'ioredis 6',
    connect: (at) => ofIoredis(new Redis6({ sentinels: [...at], name: PRIMARY_NAME })),
  },
  {
    name: 'node-redis 6',
    losesSubscriptions: true,
    connect: (at) => {
      const client = createSentinel({ name: PRIMARY_NAME, sentinelRootNodes: [...at] });
      client.on('error', () => undefined);
      client.connect().catch(() => undefined);
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
])('a primary that $name finds through Sentinel', ({ connect, losesSubscriptions = false }) => {
  let sentinel: RedisSentinel;
  let node: AppNode<RedisStore>;
  let other: AppNode<RedisStore>;

  function open(): AppNode<RedisStore> {
    return new AppNode(connect(sentinel.addresses));
  }

  /** How often the store has called back for a record. */
  function watched(id: string): { readonly times: number } {
    const seen = { times: 0 };
    other.store.watch(id, () => void (seen.times += 1));
    return seen;
  }

  beforeAll(async () => {
    sentinel = await startRedisSentinel();
    node = open();
    other = open();
  }, 90_000);

  afterAll(async () => {
    await node?.close();
    await other?.close();
    await sentinel?.stop();
  });

  it('is accepted at boot, claims, completes, and answers a duplicate that waits', async () => {
    const warnings: string[] = [];
    await node.store.start((warning) => warnings.push(warning));
    expect(warnings).toEqual([]);

    const claim = claimIn(await node.begin({ id: 'first' }));
    expect((await other.ask({ id: 'first' })).told).toBe('IDEMPOTENCY_KEY_IN_USE');
    const waiting = other.ask({ id: 'first', waitMs: WAIT_MS });
    expect(await claim.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
    expect((await waiting).told).toBe('replay reply');
  });

  it('dies: calls are refused within the time-out, and go on at its successor', async () => {
    await claimIn(await node.begin({ id: 'kept' })).complete(bytes('reply'));
    const seen = watched('woken');
    await eventually(() => seen.times > 0);
    await sentinel.replicated();

    await sentinel.primary.kill();
    const refused = await node.ask({ id: 'fresh' });
    expect(refused.told).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(refused.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);

    await eventually(
      async () => (await node.ask({ id: 'kept' })).told === 'replay reply',
      FAILS_OVER_WITHIN_MS,
    );
    // A client that sends the refused claim again once there is a primary makes it, and it is given back.
    await eventually(async () => {
      const beginning = await node.begin({ id: 'fresh' });
      if (beginning.outcome !== 'execute') return false;
      return (await beginning.claim.complete(bytes('reply'))).outcome === 'stored';
    }, FAILS_OVER_WITHIN_MS);

    // The connection that listens finds the successor, too.
    const before = seen.times;
    await eventually(async () => {
      const claim = claimIn(await node.begin({ id: 'woken' }));
      // Whoever listens leaves its mark with the next look.
      const { told } = await other.ask({ id: 'woken' });
      await claim.release();
      const isThere = told === 'IDEMPOTENCY_KEY_IN_USE';
      return isThere && (losesSubscriptions || seen.times > before);
    }, FAILS_OVER_WITHIN_MS);
    const claim = claimIn(await node.begin({ id: 'woken' }));
    const waiting = other.ask({ id: 'woken', waitMs: WAIT_MS });
    await claim.complete(bytes('reply'));
    expect((await waiting).told).toBe('replay reply');
  }, 90_000);
});
