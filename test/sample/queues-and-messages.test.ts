import { DataSource } from 'typeorm';
import { expectStatus, newKey } from '../../sample-app/show/demo/expect.js';
import { json, type Visitor } from '../../sample-app/show/demo/visitor.js';
import { eventually } from '../support/http.js';
import {
  sharedPostgres,
  sharedRabbitmq,
  sharedRedis,
  type SharedServer,
} from '../support/servers/shared.js';
import { OPENING_MS } from './support/shop.js';
import { expectReplay, TwoShops } from './support/two-shops.js';

const WITHIN_MS = 50_000;
const TICKS = 3;

describe('two shops with one PostgreSQL, RabbitMQ and Redis', () => {
  let servers: SharedServer[];
  let shops: TwoShops;
  let dataSource: DataSource;
  let here: Visitor;
  let there: Visitor;

  beforeAll(async () => {
    servers = await Promise.all([sharedPostgres(), sharedRabbitmq(), sharedRedis()]);
    const [postgres, rabbitmq, redis] = servers.map(({ url }) => url);
    shops = await TwoShops.open({
      DATABASE_URL: postgres!,
      RABBITMQ_URL: rabbitmq!,
      REDIS_URL: redis!,
      STORE: 'typeorm',
      REPORT_CRON: '*/2 * * * * *',
    });
    [here, there] = shops.visitors;
    dataSource = await new DataSource({
      type: 'postgres',
      url: postgres!,
    }).initialize();
  }, OPENING_MS);

  afterAll(async () => {
    await shops?.close();
    await dataSource?.destroy();
    await Promise.all((servers ?? []).map((server) => server.stop()));
  });

  it('handle a message once, whichever of them gets its deliveries', async () => {
    const headers = await here.token();
    const order = json<{ id: string }>(
      await here.send({ path: '/orders', headers, body: { sku: 'lamp', quantity: 1 } }),
    );
    const tell = async (visitor: Visitor, status: string): Promise<void> => {
      const body = { messageId: `m-${status}`, orderId: order.id, status };
      expectStatus(202, await visitor.send({ path: '/messages/order-events', body }));
    };
    await tell(here, 'paid');
    await tell(there, 'paid');
    await tell(here, 'created');
    await tell(there, 'shipped');
    const status = async (): Promise<string> =>
      (await there.read<{ status: string }>(`/orders/${order.id}`)).status;
    await eventually(async () => (await status()) === 'shipped', WITHIN_MS);
    await eventually(async () => (await shops.runs('SMS')) === 2, WITHIN_MS);
    expect((await here.ledger()).sms).toBe(2);
    expect(await shops.runs('POST /messages/order-events')).toBe(2);
  });

  it('process an import once that both were asked for', async () => {
    const call = { path: '/imports', headers: newKey(), body: { rows: ['a', 'b'] } };
    const first = await here.send(call);
    expectReplay(first, await there.send(call), 202);
    const result = async (): Promise<unknown> => there.read(first.headers.location!);
    await eventually(
      async () => ((await result()) as { status: string }).status === 'done',
      WITHIN_MS,
    );
    expect(await result()).toMatchObject({ result: { imported: 2 } });
    expect(await shops.runs('JOB imports')).toBe(1);
    expect((await here.ledger()).imported_rows).toBe(2);
  });

  it('write one report at a time, between them', async () => {
    await eventually(async () => (await shops.runs('CRON reports')) >= TICKS + 1, WITHIN_MS);
    const [reports] = await dataSource.query<[{ rows: number; ticks: number }]>(
      'SELECT count(*)::int AS rows, count(DISTINCT at)::int AS ticks FROM reports',
    );
    expect(reports.rows).toBeGreaterThanOrEqual(TICKS);
    expect(reports.rows).toBe(reports.ticks);
  });

  it('close cleanly', async () => {
    expect(await shops.close()).toEqual([0, 0]);
  });
});
