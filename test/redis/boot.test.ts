import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createClient } from 'redis';
import { bytes, claimIn } from '../support/engine.js';
import { read } from '../docs/markdown.js';
import { freePort, type PrivateServer } from '../support/servers/private-server.js';
import { ask, startRedis } from '../support/servers/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { AppNode } from '../processes/support/nodes.js';
import { APP_CLIENTS } from './support/clients.js';

/** What is refused at once is refused long before. */
const STORE_TIMEOUT_MS = 30_000;

describe.each(APP_CLIENTS)('booting on Redis through $name', ({ open }) => {
  const running: (() => unknown)[] = [];

  afterEach(async () => {
    for (const stop of running.splice(0).reverse()) await stop();
  });

  async function serve(...settings: string[]): Promise<PrivateServer> {
    const server = await startRedis(...settings);
    running.push(() => server.stop());
    return server;
  }

  function nodeAt(port: number): AppNode<RedisStore> {
    const node = new AppNode(open(port));
    running.push(() => node.close());
    return node;
  }

  async function warningsAt(port: number): Promise<string[]> {
    const warnings: string[] = [];
    await nodeAt(port).store.start((warning) => warnings.push(warning));
    return warnings;
  }

  it('says nothing about a server that is fit', async () => {
    const { port } = await serve();
    expect(await warningsAt(port)).toEqual([]);
  });

  it('warns once about a server that evicts', async () => {
    const { port } = await serve('--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru');
    expect(await warningsAt(port)).toEqual([
      expect.stringMatching(/maxmemory-policy allkeys-lru.*Set maxmemory-policy to noeviction/),
    ]);
  });

  it('says that one without a limit would evict, if it had one', async () => {
    const { port } = await serve('--maxmemory-policy', 'volatile-lru');
    expect(await warningsAt(port)).toEqual([
      expect.stringMatching(/^Redis has no maxmemory now, but would evict keys.*volatile-lru/),
    ]);
  });

  it('sees that a server evicts also where it may not ask for settings', async () => {
    const settings = ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'];
    const { port } = await serve(...settings, '--rename-command', 'CONFIG', '""');
    expect(await warningsAt(port)).toEqual([expect.stringMatching(/^Redis evicts keys/)]);
  });

  it('calls Valkey by its name', async () => {
    const { port } = await serve('--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru');
    const proxy = await TcpProxy.start(port);
    running.push(() => proxy.stop());
    // Of the same length, because the reply says how long it is.
    proxy.rewrite = (text) => text.replace('redis_git_sha1:00000000', 'server_name:valkey\r\n###');
    expect(await warningsAt(proxy.port)).toEqual([expect.stringMatching(/^Valkey evicts keys/)]);
  });

  it('is refused by a read-only replica', async () => {
    const primary = await serve();
    const replica = await serve('--replicaof', '127.0.0.1', String(primary.port));
    await expect(warningsAt(replica.port)).rejects.toThrow(
      /read-only replica.*connection to the primary/s,
    );
  });

  it.each([
    ['6.0.16', /connected to Redis 6\.0\.16.*6\.2 or newer/s],
    ['6.1.99', /6\.2 or newer/],
    ['5.0.14', /6\.2 or newer/],
  ])('is refused by Redis %s', async (version, message) => {
    const { port } = await serve();
    const proxy = await TcpProxy.start(port);
    running.push(() => proxy.stop());
    proxy.rewrite = (text) => text.replace(/(redis_version:)\d\.\d\.\d+/, `$1${version}`);
    await expect(warningsAt(proxy.port)).rejects.toThrow(message);
  });

  it('goes on with a server that does not tell its settings', async () => {
    const { port } = await serve('--rename-command', 'CONFIG', '""');
    expect(await warningsAt(port)).toEqual([]);
  });

  it('warns when the server may not be asked', async () => {
    const { port } = await serve();
    await ask(port, 'ACL', 'SETUSER', 'default', '-info');
    const [warning, ...others] = await warningsAt(port);
    expect(warning).toMatch(/could not be checked.*NOPERM.*Allow INFO/s);
    // It answers, so that calls are not refused.
    expect(warning).not.toMatch(/refused/);
    expect(others).toEqual([]);
  });

  it('needs no more commands than the documents name', async () => {
    const { port } = await serve();
    const sentence = /allow `EVALSHA`[^]*?`INFO`/.exec(read('docs/stores.md'))![0];
    const named = [...sentence.matchAll(/`([A-Z]+)`/g)].map(([, name]) => name!.toLowerCase());
    // What the clients themselves send.
    const allowed = [...named, 'hello', 'auth', 'client', 'ping', 'unsubscribe'];
    await ask(port, 'ACL', 'SETUSER', 'default', '-@all', ...allowed.map((name) => `+${name}`));
    const [node, other] = [nodeAt(port), nodeAt(port)];
    const warnings: string[] = [];
    await node.store.start((warning) => warnings.push(warning));
    expect(warnings).toEqual([]);
    const claim = claimIn(await node.begin({ id: 'payment' }));
    const waiting = other.ask({ id: 'payment', waitMs: 5_000 });
    await claim.saveStep('step', bytes('result'));
    await claim.complete(bytes('reply'));
    expect((await waiting).told).toBe('replay reply');
    expect(await node.store.find('payment')).toMatchObject({ state: 'completed' });
    expect(await node.store.forget('payment')).toBe(true);
    expect(await node.store.issue({ id: 'token', ttlMs: 1_000 })).toBe(true);
    await claimIn(await node.begin({ id: 'released' })).release();
    expect(await claimIn(await node.begin({ id: 'held' })).hold('reason')).toEqual({
      outcome: 'stored',
    });
  });

  it('refuses what does not fit in memory, and goes on answering what is recorded', async () => {
    const { port } = await serve('--maxmemory-policy', 'noeviction');
    const node = nodeAt(port);
    await claimIn(await node.begin({ id: 'kept' })).complete(bytes('reply'));
    const running = claimIn(await node.begin({ id: 'running' }));
    await ask(port, 'CONFIG', 'SET', 'maxmemory', '1');
    const other = nodeAt(port);
    expect((await other.ask({ id: 'kept' })).told).toBe('replay reply');
    expect((await other.ask({ id: 'new' })).told).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    // What is claimed has its place: a reply that needs hardly more is kept.
    expect(await running.complete(bytes('late reply'))).toEqual({ outcome: 'stored' });
    expect((await other.ask({ id: 'running' })).told).toBe('replay late reply');
    await ask(port, 'CONFIG', 'SET', 'maxmemory', '0');
    expect((await other.ask({ id: 'new' })).told).toBe('execute');
  });
});

describe('booting on Redis', () => {
  it.each([[undefined], [null], [{}], ['redis://localhost'], [() => undefined]])(
    'is refused without a client (%p)',
    (client) => {
      expect(() => new RedisStore({ client: client as unknown as Redis })).toThrow(
        /client of RedisStore.*new RedisStore\(\{ client: new Redis\(url\) \}\)/s,
      );
    },
  );

  it('warns about a client of node-redis that was never connected', async () => {
    const warnings: string[] = [];
    await new RedisStore({ client: createClient() }).start((warning) => warnings.push(warning));
    expect(warnings).toEqual([expect.stringMatching(/could not be checked/)]);
  });

  it.each([
    [
      'ioredis',
      (port: number) => {
        const client = new Redis(port, { enableOfflineQueue: false });
        client.on('error', () => undefined);
        return { store: new RedisStore({ client }), close: () => client.disconnect() };
      },
    ],
    [
      'node-redis',
      (port: number) => {
        const client = createClient({ socket: { port }, disableOfflineQueue: true });
        client.on('error', () => undefined);
        client.connect().catch(() => undefined);
        return { store: new RedisStore({ client }), close: () => client.destroy() };
      },
    ],
  ])('is refused at once by %s without an offline queue', async (_name, open) => {
    const node = new AppNode(open(await freePort()), STORE_TIMEOUT_MS);
    const answer = await node.ask({ id: 'payment' });
    await node.close();
    expect(answer.told).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(answer.ms).toBeLessThan(STORE_TIMEOUT_MS);
  });

  it('waits for a client of ioredis that queues nothing and still connects', async () => {
    const server = await startRedis('--maxmemory-policy', 'volatile-ttl');
    const client = new Redis(server.port, { enableOfflineQueue: false });
    const warnings: string[] = [];
    await new RedisStore({ client }).start((warning) => warnings.push(warning));
    client.disconnect();
    await server.stop();
    expect(warnings).toEqual([expect.stringContaining('volatile-ttl')]);
  });
});
