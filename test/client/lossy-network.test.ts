import { createIdempotentFetch } from 'nestjs-idempotency/client';
import { Random } from '../support/random.js';
import { boot, PLATFORMS, type TestApp } from '../support/http.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { posting, Shop } from './support/shop.js';

const INTENTS = 200;

describe.each(PLATFORMS)('a network that loses replies and connections, on %s', (platform) => {
  let test: TestApp;
  let proxy: TcpProxy;

  beforeEach(async () => {
    Shop.empty();
    test = await boot(platform, { controllers: [Shop] });
    proxy = await TcpProxy.start(test.port);
  });
  afterEach(async () => {
    await proxy.stop();
    await test.close();
  });

  it('costs no intent its reply and doubles no effect', async () => {
    const random = new Random(6);
    const fates = { before: 0, after: 0 };
    proxy.fate = (text) => {
      if (!text.startsWith('POST ')) return undefined;
      const chance = random.next();
      const fate = chance < 0.3 ? 'after' : chance < 0.4 ? 'before' : undefined;
      if (fate !== undefined) fates[fate]++;
      return fate;
    };
    const send = createIdempotentFetch({ baseDelayMs: 5, maxDelayMs: 50 });
    const order = async (sku: number): Promise<unknown> => {
      const response = await send(`http://127.0.0.1:${proxy.port}/orders`, posting({ sku }));
      return response.json();
    };

    const replies: unknown[] = [];
    for (let sku = 0; sku < INTENTS; sku += 50)
      replies.push(...(await Promise.all(Array.from({ length: 50 }, (_, at) => order(sku + at)))));

    expect(Shop.effects).toHaveLength(INTENTS);
    expect(replies).toEqual(
      Array.from({ length: INTENTS }, (_, sku) => ({
        number: Shop.effects.findIndex((effect) => (effect as { sku: number }).sku === sku) + 1,
        sku,
      })),
    );
    expect(fates.after).toBeGreaterThan(INTENTS * 0.3);
    expect(fates.before).toBeGreaterThan(INTENTS * 0.1);
  }, 60_000);
});
