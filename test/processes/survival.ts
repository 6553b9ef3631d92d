import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import type { SERVERS } from './support/servers.js';
import { pay, type Shop, Shops } from './support/shops.js';

const STORE_TIMEOUT_MS = 1_000;

/** What Node does with a rejection that nobody handles: the process ends. */
export function describeSurvival(servers: typeof SERVERS): void {
  describe.each(servers)('a process whose $name fails', (server) => {
    let shops: Shops<PrivateServer>;
    let shop: Shop;

    beforeAll(async () => {
      shops = await Shops.alone(server);
      shop = await shops.open({ storeTimeoutMs: STORE_TIMEOUT_MS });
    }, 60_000);

    afterAll(() => shops?.close());

    async function expectUnavailable(key: string): Promise<void> {
      const { status, body } = await pay(shop, { key });
      expect({ status, code: body.code }).toEqual({
        status: 503,
        code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
      });
    }

    it.each([
      ['is killed', () => shops.server.kill(), () => shops.server.restart()],
      ['stands still', () => shops.server.pause(), () => shops.server.resume()],
      [
        'comes back empty',
        () => server.restartEmpty(shops.server),
        () => server.setUp(shops.server),
      ],
    ] as const)(
      'lives on when it %s, and serves again afterwards',
      async (what, fail, recover) => {
        const key = what.replaceAll(' ', '-');
        expect((await pay(shop, { key: `before-it-${key}` })).status).toBe(201);
        // What was under way at that moment fails, too, or does not.
        const callers = Array.from({ length: 20 }, (_, i) =>
          pay(shop, { key: `while-it-${key}-${i}` }),
        );
        await fail();
        if (server.name !== 'Redis' || what !== 'comes back empty') await expectUnavailable(key);
        await recover();
        await eventually(async () => (await pay(shop, { key })).status === 201);
        const statuses = (await Promise.all(callers)).map(({ status }) => status);
        expect([201, 500, 503]).toEqual(expect.arrayContaining([...new Set(statuses)]));
        expect(shop.process.exitCode).toBe(null);
        expect(shop.errors()).not.toMatch(/unhandled|uncaught/i);
      },
      60_000,
    );
  });
}
