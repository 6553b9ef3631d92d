import { Visitor } from '../../sample-app/show/demo/visitor.js';
import { postgresUrl, startPostgres } from '../support/servers/postgres.js';
import { startRedis } from '../support/servers/redis.js';
import { openShopOnServer, OPENING_MS } from './support/shop.js';
import { describeWorker } from './support/worker.js';

describeWorker({ name: 'the embedded database', env: () => ({}) });

describeWorker({
  name: 'PostgreSQL',
  start: startPostgres,
  env: (port) => ({ DATABASE_URL: postgresUrl(port) }),
});

describeWorker({
  name: 'Redis',
  start: startRedis,
  env: (port) => ({ REDIS_URL: `redis://127.0.0.1:${port}` }),
  open: openShopOnServer,
});

it(
  'there is no worker where records are in the memory of the shop',
  async () => {
    const shop = await openShopOnServer({ STORE: 'memory' });
    const answer = await new Visitor(shop.url).send({ path: '/worker' });
    await shop.stop();
    expect(answer).toMatchObject({ status: 501 });
  },
  OPENING_MS,
);
