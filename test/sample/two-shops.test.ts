import { newKey } from '../../sample-app/demo/expect.js';
import type { ShopProcess } from '../../sample-app/demo/shop-process.js';
import type { Effects } from '../../sample-app/effects/effects.service.js';
import { Visitor } from '../../sample-app/demo/visitor.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { openShop, OPENING_MS } from './support/shop.js';

describe('two shops with one Redis', () => {
  let redis: PrivateServer;
  let shops: ShopProcess[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    const REDIS_URL = `redis://127.0.0.1:${redis.port}`;
    shops = await Promise.all([
      openShop({ HTTP: 'express', REDIS_URL }),
      openShop({ HTTP: 'fastify', REDIS_URL }),
    ]);
  }, OPENING_MS);

  afterAll(async () => {
    const open = shops.filter(({ process }) => process.exitCode === null);
    await Promise.all(open.map((shop) => shop.stop()));
    await redis?.stop();
  });

  const visitors = () => shops.map(({ url }) => new Visitor(url)) as [Visitor, Visitor];

  const payment = (headers: Record<string, string>) => ({
    path: '/payments',
    headers,
    body: { orderId: 'A-1', amount: 40 },
  });

  async function runs(route: keyof Effects): Promise<number> {
    const effects = await Promise.all(visitors().map((visitor) => visitor.effects()));
    return effects.reduce((sum, counts) => sum + counts[route], 0);
  }

  it('answer a retry at the other one from the record', async () => {
    const [here, there] = visitors();
    const key = newKey();
    const before = await runs('POST /payments');
    const first = await here.send(payment(key));
    const second = await there.send(payment(key));
    expect(first.status).toBe(201);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect({ status: second.status, bytes: second.body }).toEqual({
      status: first.status,
      bytes: first.body,
    });
    expect(await runs('POST /payments')).toBe(before + 1);
  });

  it('run one of forty simultaneous calls', async () => {
    const key = newKey();
    const before = await runs('POST /slow');
    const calls = visitors().flatMap((visitor) =>
      Array.from({ length: 20 }, () =>
        visitor.send({ path: '/slow', headers: key, body: { ms: 500 } }),
      ),
    );
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([201, 409]));
    expect(await runs('POST /slow')).toBe(before + 1);
  });

  it('say that they are not well while Redis is gone, refuse, and recover', async () => {
    const [here] = visitors();
    const health = async () => (await fetch(`${shops[0]!.url}/health`)).status;
    expect(await health()).toBe(200);
    redis.pause();
    expect(await health()).toBe(503);
    expect((await here.send(payment(newKey()))).status).toBe(503);
    redis.resume();
    expect(await health()).toBe(200);
    expect((await here.send(payment(newKey()))).status).toBe(201);
  });

  it('close cleanly, also while Redis is gone', async () => {
    redis.pause();
    expect(await Promise.all(shops.map((shop) => shop.stop()))).toEqual([0, 0]);
  });
});
