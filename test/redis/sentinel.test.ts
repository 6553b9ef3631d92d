import { Redis } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { RedisStore } from 'nestjs-idempotency/redis';
import { AppNode, SLACK_MS, STORE_TIMEOUT_MS } from '../processes/support/nodes.js';
import { bytes, claimIn } from '../support/engine.js';
import { eventually } from '../support/http.js';
import {
  PRIMARY_NAME,
  type RedisSentinel,
  startRedisSentinel,
} from '../support/servers/redis-sentinel.js';

const FAILS_OVER_WITHIN_MS = 30_000;
const WAIT_MS = 20_000;

interface Options {
  readonly sentinels: { readonly host: string; readonly port: number }[];
  readonly name: string;
}

describe.each([
  { name: 'ioredis 5', connect: (options: Options) => new Redis(options) },
  { name: 'ioredis 6', connect: (options: Options) => new Redis6(options) },
])('a primary that $name finds through Sentinel', ({ connect }) => {
  let sentinel: RedisSentinel;
  let node: AppNode<RedisStore>;
  let other: AppNode<RedisStore>;

  function open(): AppNode<RedisStore> {
    const client = connect({ sentinels: [...sentinel.addresses], name: PRIMARY_NAME });
    client.on('error', () => undefined);
    return new AppNode({
      store: new RedisStore({ client }),
      close: () => client.disconnect(),
    });
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
    await claimIn(await node.begin({ id: 'fresh' })).complete(bytes('reply'));

    // The connection that listens finds the successor, too.
    const before = seen.times;
    await eventually(async () => {
      await claimIn(await node.begin({ id: 'woken' })).release();
      return seen.times > before;
    }, FAILS_OVER_WITHIN_MS);
    const claim = claimIn(await node.begin({ id: 'woken' }));
    const waiting = other.ask({ id: 'woken', waitMs: WAIT_MS });
    await claim.complete(bytes('reply'));
    expect((await waiting).told).toBe('replay reply');
  }, 90_000);
});
