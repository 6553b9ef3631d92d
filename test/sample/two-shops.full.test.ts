import { newKey } from '../../sample-app/show/demo/expect.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { OPENING_MS } from './support/shop.js';
import { expectReplay, payment, TwoShops } from './support/two-shops.js';

describe('two shops with one Redis', () => {
  let redis: PrivateServer;
  let shops: TwoShops;

  beforeAll(async () => {
    redis = await startRedis();
    shops = await TwoShops.open({ REDIS_URL: `redis://127.0.0.1:${redis.port}` });
  }, OPENING_MS);

  afterAll(async () => {
    await shops?.close();
    await redis?.stop();
  });

  it('answer a retry at the other one from the record', async () => {
    const [here, there] = shops.visitors;
    const key = newKey();
    const before = await shops.runs('POST /payments');
    expectReplay(await here.send(payment(key)), await there.send(payment(key)));
    expect(await shops.runs('POST /payments')).toBe(before + 1);
  });

  it('run one of forty simultaneous calls', async () => {
    const before = await shops.runs('POST /slow');
    const call = { path: '/slow', headers: newKey(), body: { ms: 500 } };
    const statuses = (await shops.sendToBoth(call, 20)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([201, 409]));
    expect(await shops.runs('POST /slow')).toBe(before + 1);
  });

  it('say that they are not well while Redis is gone, refuse, and recover', async () => {
    const [here] = shops.visitors;
    const health = async () => (await fetch(`${shops.processes[0].url}/health`)).status;
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
    expect(await shops.close()).toEqual([0, 0]);
  });
});
