import type { PrivateServer } from '../support/servers/private-server.js';
import { postgresUrl, startPostgres } from '../support/servers/postgres.js';
import { openShop, OPENING_MS } from './support/shop.js';

describe('a shop whose database stands still', () => {
  let postgres: PrivateServer;

  beforeAll(async () => {
    postgres = await startPostgres();
  }, OPENING_MS);

  afterAll(() => postgres?.stop());

  it.each(['express', 'fastify'])(
    'closes all the same on %s',
    async (HTTP) => {
      const shop = await openShop({ HTTP, DATABASE_URL: postgresUrl(postgres.port) });
      postgres.pause();
      try {
        expect(await shop.stop()).toBe(0);
      } finally {
        shop.process.kill('SIGKILL');
        postgres.resume();
      }
    },
    OPENING_MS,
  );
});
