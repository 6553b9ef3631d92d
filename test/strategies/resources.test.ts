import { Body, Controller, NotFoundException, Param, Put, type Type } from '@nestjs/common';
import { Redis } from 'ioredis';
import {
  header,
  Idempotent,
  type IdempotencyModuleOptions,
  IdempotencyService,
  ifMatch,
  MemoryStore,
  Operation,
  param,
} from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { currentManager, TypeOrmResources } from 'nestjs-idempotency/typeorm';
import { Pool } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { breakCommit, prepareToBreakCommits } from '../support/break-commit.js';
import { tally } from '../support/engine.js';
import { boot, expectProblem, expectReplay, PLATFORMS, type TestApp } from '../support/http.js';
import { sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';
import { ENTITIES, Goods, Order } from './support/entities.js';
import { currentClient, PgColumn } from './support/pg-column.js';

interface Content {
  readonly name?: string;
  readonly fails?: 'crash' | 'not found' | 'commit';
}

/** What rows are changed with, and where records are kept. */
interface Kind {
  readonly name: string;
  readonly goods: (dataSource: DataSource, pool: Pool) => unknown;
  readonly orders: (dataSource: DataSource, pool: Pool) => unknown;
  readonly write: (sql: string, dataSource: DataSource) => Promise<unknown>;
  readonly options: (dataSource: DataSource, redis: Redis) => IdempotencyModuleOptions;
  /** The status when the database refuses the commit: 500 where it is known to be the work's failure. */
  readonly refusedCommit: 500 | 503;
}

const KINDS: readonly Kind[] = [
  {
    name: 'pg, with records in memory',
    goods: (_, pool) => new PgColumn(pool, 'goods', 'version'),
    orders: (_, pool) => new PgColumn(pool, 'orders', 'stage'),
    write: (sql) => currentClient().query(sql),
    options: () => ({ store: new MemoryStore() }),
    refusedCommit: 503,
  },
  {
    name: 'TypeORM, with records in Redis',
    goods: () => Goods,
    orders: () => Order,
    write: (sql, dataSource) => currentManager(dataSource).query(sql),
    options: (dataSource, client) => ({
      store: new RedisStore({ client }),
      resources: new TypeOrmResources({ dataSource: () => dataSource }),
    }),
    refusedCommit: 500,
  },
];

/** Each on one platform: what rows are changed with, no platform knows. */
const PLACES = KINDS.map((kind, index) => {
  const platform = PLATFORMS[index % PLATFORMS.length]!;
  return { kind, platform, name: `${kind.name}, ${platform}` };
});

describe.each(PLACES)('resources by $name', ({ kind, platform }) => {
  let database: SqlDatabase;
  let redis: SharedServer;
  let client: Redis;
  let dataSource: DataSource;
  let pool: Pool;
  let app: TestApp;
  let runs = 0;
  let lastId = 0;

  function controller(): Type {
    const goods = kind.goods(dataSource, pool);
    const orders = kind.orders(dataSource, pool);

    const change = async (sql: string, { fails }: Content): Promise<object> => {
      runs += 1;
      await kind.write(sql, dataSource);
      if (fails === 'crash') throw new Error('out of order');
      if (fails === 'not found') throw new NotFoundException();
      if (fails === 'commit')
        await breakCommit(dataSource, {
          query: (text: string) => kind.write(text, dataSource),
        } as EntityManager);
      return { runs };
    };

    @Controller()
    class Shop {
      @Idempotent({ strategy: 'version', entity: goods, id: param('id'), version: ifMatch() })
      @Put('goods/:id')
      goods(@Param('id') id: string, @Body() dto: Content) {
        return change(`UPDATE goods SET name = '${dto.name ?? 'x'}' WHERE id = ${id}`, dto);
      }

      @Idempotent({ key: header() })
      @Idempotent({
        strategy: 'state',
        entity: orders,
        id: param('id'),
        column: 'stage',
        to: 2,
        from: [1],
      })
      @Put('orders/:id')
      orders(@Param('id') id: string, @Body() dto: Content, @Operation() _op: unknown) {
        return change(`UPDATE orders SET note = 'x' WHERE id = ${id}`, dto);
      }
    }
    return Shop;
  }

  beforeAll(async () => {
    [database, redis] = await Promise.all([POSTGRES.start(), sharedRedis()]);
    dataSource = await database.connect({ entities: ENTITIES, synchronize: true });
    await prepareToBreakCommits(dataSource);
    client = new Redis(redis.url);
    const { url } = dataSource.options as { url?: string };
    pool = new Pool({ connectionString: url });
    // It has ended before its connections have, which the end of the database cuts off.
    pool.on('error', () => undefined);
    const idempotency = kind.options(dataSource, client);
    app = await boot(platform, { controllers: [controller()], idempotency });
  });
  afterAll(async () => {
    await app?.close();
    await pool?.end();
    client?.disconnect();
    await database?.stop();
    await redis?.stop();
  });
  beforeEach(() => {
    runs = 0;
  });

  async function add(): Promise<number> {
    const id = (lastId += 1);
    for (const entity of [Goods, Order]) await dataSource.getRepository(entity).insert({ id });
    return id;
  }
  const goods = (id: number) => dataSource.manager.findOneByOrFail(Goods, { id });
  const order = (id: number) => dataSource.manager.findOneByOrFail(Order, { id });
  const put = (id: number, version: string, body: Content = {}) =>
    app.send(`/goods/${id}`, { method: 'PUT', headers: { 'if-match': version }, body });
  const pay = (id: number, key: string, body: Content = {}) =>
    app.send(`/orders/${id}`, { method: 'PUT', key, body });

  it('raises the version by one with the work, and replays', async () => {
    const id = await add();
    const first = await put(id, '"1"');

    expect(first.headers.etag).toBe('"2"');
    expectReplay(first, await put(id, '"1"'));
    expectProblem(await put(id, '"1"', { name: 'y' }), 412, 'IDEMPOTENCY_VERSION_CONFLICT');
    expectProblem(await put(4711, '"1"'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
    expect(await goods(id)).toMatchObject({ name: 'x', version: 2 });
  });

  it('runs If-Match: * every time', async () => {
    const id = await add();
    expect((await put(id, '*')).headers.etag).toBe('"2"');
    expect((await put(id, '*')).headers.etag).toBe('"3"');
    expect((await goods(id)).version).toBe(3);
  });

  it('changes the state with the work, within a key', async () => {
    const id = await add();
    const first = await pay(id, `a${id}`);

    expect(first.status).toBe(200);
    expectReplay(first, await pay(id, `a${id}`));
    expectReplay(first, await pay(id, `b${id}`));
    expect(await order(id)).toMatchObject({ stage: 2, note: 'x' });
    expect(runs).toBe(1);
  });

  it.each([
    ['crash', 500],
    ['commit', kind.refusedCommit],
  ] as const)('leaves nothing after a failed %s, and runs the retry', async (fails, status) => {
    const id = await add();
    expect((await put(id, '"1"', { fails })).status).toBe(status);
    expect((await pay(id, `k${id}`, { fails })).status).toBe(status);
    expect(await goods(id)).toMatchObject({ name: 'new', version: 1 });
    expect(await order(id)).toMatchObject({ note: '', stage: 1 });
    expect((await put(id, '"1"')).status).toBe(200);
    expect((await pay(id, `new-${id}`)).status).toBe(200);
  });

  it('keeps an error that is the result, and undoes the work', async () => {
    const id = await add();
    const first = await put(id, '"1"', { fails: 'not found' });

    expect(first.status).toBe(404);
    expectReplay(first, await put(id, '"1"', { fails: 'not found' }));
    expect(await goods(id)).toMatchObject({ name: 'new', version: 1 });
  });

  it('lets one of many concurrent writers win', async () => {
    const id = await add();
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, at) => put(id, '"1"', { name: `by ${at}` })),
    );
    expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 200: 1, 412: 23 });
    expect((await goods(id)).version).toBe(2);
  });

  it('finds the work done, and refuses, when the record was lost after the commit', async () => {
    const id = await add();
    await pay(id, `k${id}`);
    const service = app.app.get(IdempotencyService);
    const scope = 'PUT /orders/:id';
    await service.forget({ scope, key: `k${id}` });
    await service.forget({ scope: `${scope}#state`, key: [String(id), '2'] });

    expectProblem(await pay(id, `k${id}`), 409, 'IDEMPOTENCY_STATE_CONFLICT');
    expect(runs).toBe(1);
  });
});
