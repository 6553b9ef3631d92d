import { Redis } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { RedisStore } from 'nestjs-idempotency/redis';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { createClient } from 'redis';
import { createClient as createClient5 } from 'redis5';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { SocketWrites } from '../support/socket-writes.js';

const CALLS = 20;
const CLAIM = { owner: 'owner', fingerprint: '', leaseMs: 30_000, ttlMs: 30_000 };
/** No text in any encoding that clients use. */
const REPLY = Buffer.from([0, 1, 0xff, 0xfe, 0x80, 13, 10]);

interface Open {
  readonly store: RedisStore;
  close(): unknown;
}

function ofIoredis(client: Redis | Redis6): Promise<Open> {
  client.on('error', () => undefined);
  return Promise.resolve({
    store: new RedisStore({ client }),
    close: () => client.disconnect(),
  });
}

const CLIENTS: readonly { name: string; open: (port: number) => Promise<Open> }[] = [
  { name: 'ioredis 5', open: (port) => ofIoredis(new Redis(port)) },
  { name: 'ioredis 6', open: (port) => ofIoredis(new Redis6(port)) },
  {
    name: 'ioredis with automatic pipelining',
    open: (port) => ofIoredis(new Redis(port, { enableAutoPipelining: true })),
  },
  {
    name: 'node-redis 5',
    open: async (port) => {
      const client = createClient5({ socket: { port } });
      await client.connect();
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
  {
    name: 'node-redis 6',
    open: async (port) => {
      const client = createClient({ socket: { port } });
      await client.connect();
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
];

describe('commands to Redis', () => {
  let server: PrivateServer;
  const running: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await startRedis();
  });

  afterAll(() => server?.stop());

  afterEach(async () => {
    for (const stop of running.splice(0).reverse()) await stop();
  });

  /** Connected, and the server knows the scripts. */
  async function ready({ store, close }: Open): Promise<RedisStore> {
    running.push(close);
    const request = { ...CLAIM, id: `warm ${Math.random()}` };
    await store.acquire(request);
    await store.complete({ ...request, reply: REPLY });
    return store;
  }

  function writesTo(port: number): SocketWrites {
    const writes = new SocketWrites([port]);
    running.push(() => writes.stop());
    return writes;
  }

  /** As when several requests and answers are handled in one turn. */
  async function expectTogether(
    store: RedisStore,
    writes: SocketWrites,
    name: string,
  ): Promise<void> {
    const ids = Array.from({ length: CALLS }, (_, i) => `${name} ${i}`);
    const claims = await Promise.all(
      ids.map(async (id, i) => {
        if (i % 2 === 1) await Promise.resolve();
        return store.acquire({ ...CLAIM, id });
      }),
    );
    expect(claims.map(({ outcome }) => outcome)).toEqual(ids.map(() => 'acquired'));
    expect(writes.taken()).toBe(1);
    const done = await Promise.all(ids.map((id) => store.complete({ ...CLAIM, id, reply: REPLY })));
    expect(done).toEqual(ids.map(() => true));
    expect(writes.taken()).toBe(1);
    expect((await store.find(ids[0]!))!.reply).toEqual(REPLY);
  }

  it.each(CLIENTS)(
    'of one turn of the event loop share one write ($name)',
    async ({ name, open }) => {
      const store = await ready(await open(server.port));
      await expectTogether(store, writesTo(server.port), name);
    },
  );

  it.each(CLIENTS)(
    'are written at the end of the turn, not later ($name)',
    async ({ name, open }) => {
      const store = await ready(await open(server.port));
      const writes = writesTo(server.port);
      const asked = store.acquire({ ...CLAIM, id: `idle ${name}` });
      await new Promise((resolve) => setImmediate(resolve));
      // One turn more for a client that has its own.
      if (writes.count === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(writes.count).toBe(1);
      await asked;
    },
  );

  it('share one write over TLS', async () => {
    const psk = { psk: Buffer.from('secret'), identity: 'test' };
    const settings = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const;
    const tls = createServer({ ...settings, pskCallback: () => psk.psk }, (socket) => {
      const to = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined).on('close', () => to.destroy());
      to.on('close', () => socket.destroy());
      socket.pipe(to).pipe(socket);
    }).listen(0, '127.0.0.1');
    running.push(() => tls.close());
    await once(tls, 'listening');
    const { port } = tls.address() as AddressInfo;
    const options = { ...settings, pskCallback: () => psk, checkServerIdentity: () => undefined };
    const store = await ready(await ofIoredis(new Redis(port, { tls: options })));
    await expectTogether(store, writesTo(port), 'encrypted');
  });

  it('share it with those of the application, in their order', async () => {
    const client = new Redis(server.port);
    const store = await ready(await ofIoredis(client));
    const writes = writesTo(server.port);
    const before = client.set('before', '1');
    const claim = store.acquire({ ...CLAIM, id: 'beside' });
    const pipeline = client.pipeline().get('before').set('after', '2').exec();
    const after = client.get('after');
    expect(await Promise.all([before, claim, pipeline, after])).toMatchObject([
      'OK',
      { outcome: 'acquired' },
      [
        [null, '1'],
        [null, 'OK'],
      ],
      '2',
    ]);
    // The first came before anything was held back.
    expect(writes.count).toBe(2);
  });

  it('are sent before a client that was told to quit is gone', async () => {
    const client = new Redis(server.port);
    const store = await ready(await ofIoredis(client));
    const claim = store.acquire({ ...CLAIM, id: 'last' });
    const quit = client.quit();
    expect(await claim).toMatchObject({ outcome: 'acquired' });
    expect(await quit).toBe('OK');
  });

  it('go on when the connection breaks while they are held back', async () => {
    const client = new Redis(server.port, { retryStrategy: () => 1 });
    const store = await ready(await ofIoredis(client));
    const claim = store.acquire({ ...CLAIM, id: 'broken' });
    const reconnected = once(client, 'ready');
    client.disconnect(true);
    expect(await claim).toMatchObject({ outcome: 'acquired', attempt: 1 });
    await reconnected;
    await expectTogether(store, writesTo(server.port), 'again');
  });
});
