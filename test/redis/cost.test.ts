import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createHash } from 'node:crypto';
import { createClient } from 'redis';
import { read } from '../docs/markdown.js';
import { bytes, claimIn } from '../support/engine.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { type AppClient, AppNode } from '../processes/support/nodes.js';
import { APP_CLIENTS } from './support/clients.js';

const LEASE_MS = 900;
/** What docs/stores.md says that a record takes beside its reply. */
const OVERHEAD_BYTES = 280;

let server: PrivateServer;
let admin: Redis;
let nodes: AppNode[] = [];

beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.port);
});

beforeEach(() => admin.flushall());

afterEach(async () => {
  await Promise.all(nodes.map((node) => node.close()));
  nodes = [];
});

afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

function start(client: AppClient): AppNode {
  const node = new AppNode(client);
  nodes.push(node);
  return node;
}

/** Commands that clients sent, by name, without those of connecting and asking. */
async function commands(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const stats = await admin.info('commandstats');
  for (const [, name, calls] of stats.matchAll(/^cmdstat_(\w+):calls=(\d+)/gm)) {
    if (/^eval|script|multi|watch|publish/.test(name!)) counts[name!] = Number(calls);
  }
  return counts;
}

describe.each(APP_CLIENTS)('the commands of RedisStore through $name', ({ open }) => {
  let node: AppNode;

  beforeEach(async () => {
    node = start(open(server.port));
    // Every script is known from here on.
    const claim = claimIn(await node.begin({ id: 'known' }));
    await node.store.extend({ id: 'known', owner: '', leaseMs: 1, ttlMs: 1 });
    await claim.release();
    await claimIn(await node.begin({ id: 'known' })).complete(bytes('reply'));
    await admin.config('RESETSTAT');
  });

  it('are two for a first call, one for a replay', async () => {
    const claim = claimIn(await node.begin({ id: 'payment' }));
    expect(await commands()).toEqual({ evalsha: 1 });
    await claim.complete(bytes('reply'));
    expect(await commands()).toEqual({ evalsha: 2 });
    expect((await node.ask({ id: 'payment' })).told).toBe('replay reply');
    expect(await commands()).toEqual({ evalsha: 3 });
  });

  it('is one for a refused duplicate in another process, none in the same', async () => {
    const other = start(open(server.port));
    await node.begin({ id: 'payment' });
    expect((await node.ask({ id: 'payment' })).told).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(await commands()).toEqual({ evalsha: 1 });
    expect((await other.ask({ id: 'payment' })).told).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect((await other.ask({ id: 'payment', fingerprint: 'other' })).told).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    );
    expect(await commands()).toEqual({ evalsha: 3 });
  });

  it('is one renewal for every third of the lease', async () => {
    const claim = claimIn(await node.begin({ id: 'payment', leaseMs: LEASE_MS }));
    const startedAt = performance.now();
    // Renewals come at 300, 600 and 900 ms; whatever the machine does, no sooner than that.
    await eventually(async () => (await commands())['evalsha'] === 4);
    const elapsed = performance.now() - startedAt;
    await claim.complete(bytes('reply'));
    expect(elapsed).toBeGreaterThan(LEASE_MS * 0.95);
    expect(claim.signal.aborted).toBe(false);
  });
});

describe.each(APP_CLIENTS)('messages about a change, through $name', ({ open }) => {
  it('are sent when somebody waits for it, and not otherwise', async () => {
    const [owner, other] = [start(open(server.port)), start(open(server.port))];
    await claimIn(await owner.begin({ id: 'alone' })).complete(bytes('reply'));
    await claimIn(await owner.begin({ id: 'alone released' })).release();
    await claimIn(await owner.begin({ id: 'alone held' })).hold('reason');
    const refused = claimIn(await owner.begin({ id: 'refused' }));
    // A duplicate that does not wait needs none.
    await other.ask({ id: 'refused' });
    await refused.complete(bytes('reply'));
    await admin.config('RESETSTAT');
    await claimIn(await owner.begin({ id: 'still alone' })).complete(bytes('reply'));
    expect(await commands()).not.toHaveProperty('publish');

    const claim = claimIn(await owner.begin({ id: 'waited for' }));
    const waiting = other.ask({ id: 'waited for', waitMs: 10_000 });
    await eventually(() => isMarked('waited for'));
    await claim.complete(bytes('reply'));
    expect((await waiting).told).toBe('replay reply');
    expect(await commands()).toMatchObject({ publish: 1 });
  });

  it('reach those that wait for the next owner too', async () => {
    const [owner, other] = [start(open(server.port)), start(open(server.port))];
    const first = claimIn(await owner.begin({ id: 'again' }));
    let woken = 0;
    const stop = other.store.watch!('again', () => void (woken += 1));
    await eventually(() => woken === 1);
    await first.release();
    const second = claimIn(await owner.begin({ id: 'again' }));
    await eventually(() => woken === 2);
    await second.complete(bytes('reply'));
    await eventually(() => woken === 3);
    stop();
    expect(await isMarked('again')).toBe(false);
  });

  it('says how many listen, and many are not woken at the same time', async () => {
    const owner = start(open(server.port));
    const claim = claimIn(await owner.begin({ id: 'hot' }));
    const heard: string[] = [];
    const listener = admin.duplicate();
    listener.on('message', (_channel, message: string) => heard.push(message));
    await listener.subscribe('idempotency:hot');
    const stores = Array.from({ length: 40 }, () => new RedisStore({ client: admin }));
    const wokenAtMs: number[] = [];
    let ready = 0;
    for (const store of stores) {
      let isReady = false;
      store.watch('hot', () => {
        if (isReady) wokenAtMs.push(performance.now());
        else ready += 1;
        isReady = true;
      });
    }
    await eventually(() => ready === stores.length);
    await claim.complete(bytes('reply'));
    await eventually(() => wokenAtMs.length === stores.length);
    expect(heard).toEqual([`${stores.length + 1}`]);
    // All at once would be within one turn; at random over 41 ms they are never this close.
    expect(Math.max(...wokenAtMs) - Math.min(...wokenAtMs)).toBeGreaterThan(5);
    for (const store of stores) store.close();
    listener.disconnect();
  });

  /** The tenth field of a record is the mark of those that wait, if there is one. */
  async function isMarked(id: string): Promise<boolean> {
    const script =
      "local mark = select(10, cmsgpack.unpack(redis.call('GET', KEYS[1]))) return mark == 'p' and 1 or 0";
    return (await admin.eval(script, 1, `idempotency:${id}`)) === 1;
  }
});

describe.each(APP_CLIENTS)('a user without rights to channels, through $name', ({ open }) => {
  it('needs two commands a call; its duplicates ask until there is an answer', async () => {
    await admin.acl('SETUSER', 'default', 'resetchannels');
    try {
      const [owner, other] = [start(open(server.port)), start(open(server.port))];
      const warnings: string[] = [];
      await (other.store as RedisStore).start((warning) => warnings.push(warning));
      await claimIn(await owner.begin({ id: 'known' })).complete(bytes('reply'));
      await admin.config('RESETSTAT');
      const claim = claimIn(await owner.begin({ id: 'polled' }));
      await claim.complete(bytes('reply'));
      expect(await commands()).toEqual({ evalsha: 2 });

      for (const id of ['first', 'second']) {
        const running = claimIn(await owner.begin({ id }));
        const { evalsha: before = 0 } = await commands();
        const waiting = other.ask({ id, waitMs: 10_000 });
        await eventually(async () => warnings.length === 1);
        // It has begun to wait, and has asked again.
        await eventually(async () => ((await commands())['evalsha'] ?? 0) >= before + 3);
        expect(await running.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
        expect((await waiting).told).toBe('replay reply');
      }
      expect(warnings).toEqual([expect.stringMatching(/NOPERM.*Allow SUBSCRIBE and PUBLISH/s)]);
      // Each refusal is a connection: it is not asked again for the second.
      const stats = await admin.info('commandstats');
      expect(/^cmdstat_subscribe:.*rejected_calls=(\d+)/m.exec(stats)?.[1]).toBe('1');
      // Somebody else may listen: the owner ends as well, although it cannot tell.
      await admin.acl('SETUSER', 'listener', 'on', 'nopass', '~*', '&*', '+@all');
      const client = new Redis(server.port, { username: 'listener', password: 'any' });
      const listener = start({
        store: new RedisStore({ client }),
        close: () => client.disconnect(),
      });
      const running = claimIn(await owner.begin({ id: 'marked' }));
      const waiting = listener.ask({ id: 'marked', waitMs: 10_000 });
      await eventually(async () => ((await admin.pubsub('CHANNELS')) as unknown[]).length === 1);
      expect(await running.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
      expect((await waiting).told).toBe('replay reply');
    } finally {
      await admin.acl('SETUSER', 'default', 'allchannels');
      await admin.acl('DELUSER', 'listener');
    }
  });
});

describe('a record', () => {
  it('takes beside its reply what the documents say', () => {
    expect(read('docs/stores.md')).toContain(`at most ${OVERHEAD_BYTES} bytes`);
  });

  const id = createHash('sha256').update('payment').digest('hex');
  const fingerprint = createHash('sha256').update('content').digest('base64url');

  it.each([0, 100, 1_000, 10_000, 100_000])(
    'takes little more than its reply of %d bytes',
    async (size) => {
      const node = start(APP_CLIENTS[0]!.open(server.port));
      const claim = claimIn(await node.begin({ id, fingerprint }));
      await claim.complete(Buffer.alloc(size, 'r'));
      const used = Number(await admin.memory('USAGE', `idempotency:${id}`, 'SAMPLES', 0));
      console.info(`reply of ${size} bytes: ${used} bytes, ${used - size} beside it`);
      // The allocator rounds up: by an eighth at the most.
      expect(used).toBeLessThan(size * 1.25 + OVERHEAD_BYTES);
    },
  );
});

describe('the keys of RedisStore', () => {
  const hostile = [
    '',
    '-'.repeat(36),
    'a{b}c',
    '{}',
    '"; redis.call("FLUSHALL") --',
    '\r\nFLUSHALL\r\n',
    'ключ\u0000🔑',
    '*?[a]',
    'x'.repeat(10_000),
  ];

  it.each(hostile)('are the prefix and the id, whatever is in them (%j)', async (text) => {
    const client = new Redis(server.port);
    const store = new RedisStore({ client, prefix: text });
    const request = { id: text, owner: 'owner', leaseMs: 10_000, ttlMs: 10_000 };
    await admin.set('bystander', 'untouched');
    expect(await store.acquire({ ...request, fingerprint: text })).toMatchObject({
      outcome: 'acquired',
    });
    await store.saveStep({ ...request, name: text, value: Buffer.from(text) });
    expect((await store.find(text))!.steps.get(text)).toEqual(Buffer.from(text));
    await store.hold({ ...request, reason: text });
    expect(await store.find(text)).toMatchObject({
      state: 'held',
      reason: text,
      fingerprint: text,
    });
    expect((await admin.keys('*')).sort()).toEqual(
      [text + text, `${text}held`, 'bystander'].sort(),
    );
    client.disconnect();
  });

  it.each([
    [
      'ioredis',
      () => {
        const client = new Redis(server.port, { keyPrefix: 'app:' });
        return { store: new RedisStore({ client }), close: () => client.disconnect() };
      },
    ],
    [
      'node-redis',
      () => {
        const client = createClient({ socket: { port: server.port }, keyPrefix: 'app:' });
        client.connect().catch(() => undefined);
        return { store: new RedisStore({ client }), close: () => client.destroy() };
      },
    ],
  ])('begin with the prefix of the client of %s', async (_name, open) => {
    const node = start(open());
    await node.begin({ id: 'payment' });
    expect(await admin.keys('*')).toEqual(['app:idempotency:payment']);
  });
});

describe.each(APP_CLIENTS)('duplicates that wait in another process, through $name', ({ open }) => {
  it.each([
    ['complete', 8, 'replay reply'],
    ['release', 1, 'execute'],
    ['hold', 8, 'IDEMPOTENCY_OUTCOME_UNKNOWN'],
  ] as const)(
    'are woken by a message when the owner calls %s, not by polling',
    async (verb, count, answer) => {
      const [owner, other] = [start(open(server.port)), start(open(server.port))];
      const wokenAfterMs = async (id: string): Promise<number> => {
        const claim = claimIn(await owner.begin({ id }));
        await admin.config('RESETSTAT');
        const duplicates = Promise.all(
          Array.from({ length: count }, () => other.ask({ id, waitMs: 10_000 })),
        );
        await eventually(async () => (await listeners(id)) === 1);
        // Both short looks are over: the next one is a second away.
        await eventually(async () => (await commands())['evalsha']! >= 3);
        const startedAt = performance.now();
        await {
          complete: () => claim.complete(bytes('reply')),
          release: () => claim.release(),
          hold: () => claim.hold('reason'),
        }[verb]();
        const told = (await duplicates).map((duplicate) => duplicate.told);
        expect(told).toEqual(Array.from({ length: count }, () => answer));
        return performance.now() - startedAt;
      };
      // The quickest of three: a busy machine delays one, polling all of them.
      const took: number[] = [];
      for (const id of ['first', 'second', 'third']) took.push(await wokenAfterMs(id));
      expect(Math.min(...took)).toBeLessThan(500);
    },
  );

  async function listeners(id: string): Promise<number> {
    const [, count] = (await admin.pubsub('NUMSUB', `idempotency:${id}`)) as unknown[];
    return Number(count);
  }
});
