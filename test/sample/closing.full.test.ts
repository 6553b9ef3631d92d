import type { ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { postgresUrl, startPostgres } from '../support/servers/postgres.js';
import { OPENING_MS } from './support/shop.js';
import { TwoShops } from './support/two-shops.js';

describe('shops whose database stands still', () => {
  let postgres: PrivateServer;
  let shops: TwoShops | undefined;

  beforeAll(async () => {
    postgres = await startPostgres();
    shops = await TwoShops.open({ DATABASE_URL: postgresUrl(postgres.port) });
  }, OPENING_MS);

  afterAll(async () => {
    for (const { process } of shops?.processes ?? ([] as ShopProcess[])) process.kill('SIGKILL');
    await postgres?.stop();
  });

  it(
    'close all the same, on both adapters',
    async () => {
      postgres.pause();
      expect(await shops!.close()).toEqual([0, 0]);
    },
    OPENING_MS,
  );
});
