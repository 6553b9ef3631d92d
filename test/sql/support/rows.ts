import { Body, Controller, NotFoundException, Param, Post, Put, type Type } from '@nestjs/common';
import {
  body,
  Idempotent,
  type IdempotencyModuleOptions,
  type IdempotentOperation,
  ifMatch,
  MemoryStore,
  Operation,
  param,
} from 'nestjs-idempotency';
import {
  insertOrGet,
  sqlTable,
  SqlResources,
  SqlStore,
  UniqueIndexConflictError,
} from 'nestjs-idempotency/sql';
import { Gate } from 'nestjs-idempotency/testing';
import { tally } from '../../support/engine.js';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  PATIENT,
  type TestApp,
} from '../../support/http.js';
import { type Layer, type Layers, openTwice } from './layer.js';

const UUID = 'B1946AC9-2492-4D23-8A0B-7F0B1A3C9D10';

const TABLES = {
  postgres: [
    `CREATE TABLE goods (id integer PRIMARY KEY, name varchar(50) NOT NULL DEFAULT 'new',
      version integer NOT NULL DEFAULT 1, deleted_at timestamptz)`,
    "CREATE TYPE order_status AS ENUM ('created', 'paid', 'cancelled')",
    `CREATE TABLE orders (id uuid PRIMARY KEY, status order_status NOT NULL DEFAULT 'created',
      stage smallint NOT NULL DEFAULT 1)`,
  ],
  mysql: [
    `CREATE TABLE goods (id int unsigned PRIMARY KEY, name varchar(50) NOT NULL DEFAULT 'new',
      version int NOT NULL DEFAULT 1, deleted_at timestamp NULL)`,
    `CREATE TABLE orders (id char(36) PRIMARY KEY,
      status enum('created', 'paid', 'cancelled') NOT NULL DEFAULT 'created', stage smallint NOT NULL DEFAULT 1)`,
  ],
  sqlite: [
    `CREATE TABLE goods (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'new',
      version integer NOT NULL DEFAULT 1, deleted_at text)`,
    `CREATE TABLE orders (id text PRIMARY KEY, status text NOT NULL DEFAULT 'created', stage smallint NOT NULL DEFAULT 1)`,
  ],
};

const OTHER_TABLES = [
  `CREATE TABLE prices (shop varchar(10), goods integer, cents integer NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 1, PRIMARY KEY (shop, goods))`,
  'CREATE TABLE fractions (id integer PRIMARY KEY, version decimal(10, 2))',
  `CREATE TABLE listings (id varchar(36) PRIMARY KEY, goods_id bigint NOT NULL, category_id integer NOT NULL,
    slug varchar(8) UNIQUE, visible boolean NOT NULL DEFAULT true, UNIQUE (goods_id, category_id))`,
];

const GOODS = sqlTable('goods', { deletedAt: 'deleted_at' });
const PRICES = sqlTable('prices');
const ORDERS = sqlTable('orders');
const LISTINGS = sqlTable('listings');

interface Listing {
  readonly id: string;
  readonly visible: unknown;
}

interface Change {
  readonly how?: 'wait' | 'update' | 'count' | 'nothing' | 'fail' | 'not found';
}

const CALLERS = Array.from({ length: 24 }, (_, at) => at);

/** The strategies `version` and `state`, and `insertOrGet()`, on tables of a data layer. */
export function describeRows(layer: Layer): void {
  describe(`rows of tables with ${layer.name}`, () => {
    let layers: Layers;
    let shop: TestApp;
    let runs = 0;
    let lastId = 0;
    let gate: Gate;

    const bootWith = (controllers: Type[], options: IdempotencyModuleOptions): Promise<TestApp> =>
      boot('express', {
        controllers,
        idempotency: {
          ...PATIENT,
          principal: (call) => call.request?.headers['x-user'] as string | undefined,
          ...options,
        },
      });

    const query = (text: string) => layers.layer.query(text);
    const first = async (text: string) => (await query(text))[0];
    const goods = (id: number) => first(`SELECT name, version FROM goods WHERE id = ${id}`);
    const order = (id: string) => first(`SELECT status, stage FROM orders WHERE id = '${id}'`);
    const add = async (version = 1): Promise<number> => {
      const id = (lastId += 1);
      await query(`INSERT INTO goods (id, version) VALUES (${id}, ${version})`);
      return id;
    };
    const addOrder = async (stage = 1): Promise<string> => {
      const id = `b1946ac9-2492-4d23-8a0b-${String((lastId += 1)).padStart(12, '0')}`;
      await query(`INSERT INTO orders (id, stage) VALUES ('${id}', ${stage})`);
      return id;
    };

    function shopController(): Type {
      const { run } = layers.layer;
      const change = async (tx: unknown, id: string, { how }: Change): Promise<object> => {
        runs += 1;
        if (how === 'wait') await gate.pass();
        if (how !== 'nothing')
          await run!(tx, `UPDATE goods SET name = 'run ${runs}' WHERE id = ${id}`);
        if (how === 'count')
          await run!(tx, `UPDATE goods SET version = version + 1 WHERE id = ${id}`);
        if (how === 'fail') throw new Error('out of order');
        if (how === 'not found') throw new NotFoundException();
        return { runs };
      };

      @Controller()
      class Shop {
        @Put('goods/:id')
        @Idempotent({ strategy: 'version', entity: GOODS, id: param('id'), version: ifMatch() })
        put(@Param('id') id: string, @Body() dto: Change, @Operation() op: IdempotentOperation) {
          return change(op.tx, id, dto);
        }

        @Put('goods/:id/newer')
        @Idempotent({
          strategy: 'version',
          entity: GOODS,
          id: param('id'),
          version: body('version'),
          mode: 'newer',
        })
        newer(@Param('id') id: string, @Body() dto: Change, @Operation() op: IdempotentOperation) {
          return change(op.tx, id, dto);
        }

        @Put('shops/:shop/goods/:goods/price')
        @Idempotent({
          strategy: 'version',
          entity: PRICES,
          id: [param('shop'), param('goods')],
          version: ifMatch(),
          column: 'revision',
        })
        async price(
          @Param() of: { shop: string; goods: string },
          @Operation() op: IdempotentOperation,
        ) {
          await run!(
            op.tx,
            `UPDATE prices SET cents = 5 WHERE shop = '${of.shop}' AND goods = ${of.goods}`,
          );
        }

        @Post('orders/:id/pay')
        @Idempotent({
          strategy: 'state',
          entity: ORDERS,
          id: param('id'),
          column: 'status',
          to: 'paid',
          from: ['created'],
        })
        pay(@Body() { how }: Change) {
          runs += 1;
          if (how === 'fail') throw new Error('out of order');
          return { runs };
        }

        @Post('orders/:id/ascend')
        @Idempotent({ strategy: 'state', entity: ORDERS, id: param('id'), column: 'stage', to: 3 })
        ascend() {
          return { runs: (runs += 1) };
        }
      }
      return Shop;
    }

    function listingsController(): Type {
      @Controller()
      class Listings {
        @Put('listings/:goods')
        @Idempotent({ transaction: true })
        async list(@Param('goods') goodsId: string, @Body() { how }: Change) {
          const { executor } = layers.layer;
          const values = {
            id: `l-${goodsId}`,
            goods_id: BigInt(goodsId),
            category_id: 7,
            visible: false,
          };
          const made = await insertOrGet<Listing>(executor, LISTINGS, values);
          const again = await insertOrGet<Listing>(executor, LISTINGS, {
            ...values,
            id: 'another',
          });
          if (how === 'fail') throw new Error('out of order');
          return { made: made.inserted, again: again.inserted, id: again.row.id };
        }
      }
      return Listings;
    }

    beforeAll(async () => {
      layers = await openTwice(layer, 4);
      for (const table of [...TABLES[layer.dialect], ...OTHER_TABLES]) await query(table);
      const store = new SqlStore({ executor: layers.layer.executor, purge: false });
      shop = await bootWith([shopController(), listingsController()], { store });
    });

    afterAll(async () => {
      await shop?.close();
      await layers?.stop();
    });

    beforeEach(() => {
      runs = 0;
      gate = new Gate();
    });

    const put = (id: number | string, version: string, dto: Change = {}, to = shop) =>
      to.send(`/goods/${id}`, { method: 'PUT', headers: { 'if-match': version }, body: dto });
    const post = (path: string, dto: Change = {}, user = 'alice') =>
      shop.send(path, { body: dto, headers: { 'x-user': user } });

    it.each(['update', 'count', 'nothing'] as const)(
      'raises the version by one when the handler does: %s',
      async (how) => {
        const id = await add();
        const reply = await put(id, '"1"', { how });

        expect([reply.status, reply.headers.etag]).toEqual([200, '"2"']);
        expect(Number((await goods(id))?.version)).toBe(2);
        expectReplay(reply, await put(id, '"1"', { how }));
        const stale = await put(id, '"1"', { how: 'fail' });
        expectProblem(stale, 412, 'IDEMPOTENCY_VERSION_CONFLICT');
        expect(stale.json()).toMatchObject({ current: 2 });
        expect(runs).toBe(1);
      },
    );

    it('leaves row and version as they were when the handler fails', async () => {
      const id = await add();
      expect((await put(id, '"1"', { how: 'fail' })).status).toBe(500);
      expect((await put(id, '"1"', { how: 'not found' })).status).toBe(404);
      expect(await goods(id)).toMatchObject({ name: 'new' });
      expect(Number((await goods(id))?.version)).toBe(1);
    });

    it('sets a newer version, and refuses others', async () => {
      const id = await add();
      const newer = (version: unknown) =>
        shop.send(`/goods/${id}/newer`, { method: 'PUT', body: { version } });
      expect((await newer(7)).headers.etag).toBe('"7"');
      expectProblem(await newer(6), 409, 'IDEMPOTENCY_VERSION_CONFLICT');
      expectProblem(await newer('99999999999999999999'), 400, 'IDEMPOTENCY_KEY_INVALID');
    });

    it('finds rows by keys of several columns, and counts with 64 bits', async () => {
      const [present, next] =
        layer.dialect === 'sqlite' ? ['41', '42'] : ['9007199254740993', '9007199254740994'];
      for (const name of ['north', 'south'])
        await query(`INSERT INTO prices (shop, goods, revision) VALUES ('${name}', 7, ${present})`);
      const reply = await shop.send('/shops/north/goods/7/price', {
        method: 'PUT',
        headers: { 'if-match': `"${present}"` },
        body: {},
      });
      expect([reply.status, reply.headers.etag]).toEqual([200, `"${next}"`]);
      const rows = await query(
        'SELECT CAST(revision AS char(16)) AS revision FROM prices ORDER BY shop',
      );
      expect(rows.map(({ revision }) => String(revision))).toEqual([next, present]);
    });

    it.each(['4711', 'abc', '1abc', '1 or 1=1', '99999999999999999999'])(
      'finds no row by %j',
      async (id) => {
        const reply = await put(encodeURIComponent(id), '*');
        expectProblem(reply, 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
        expect(runs).toBe(0);
      },
    );

    it('finds no row that was deleted softly', async () => {
      const id = await add();
      await query(`UPDATE goods SET deleted_at = '2026-01-01' WHERE id = ${id}`);
      expectProblem(await put(id, '*'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
    });

    it('lets one of many writers and one of many callers through', async () => {
      const id = await add();
      const writers = await Promise.all(
        CALLERS.map((at) => put(id, '"1"', { how: 'update', at } as Change)),
      );
      expect(tally(writers.map(({ status }) => String(status)))).toEqual({ 200: 1, 412: 23 });
      expect(Number((await goods(id))?.version)).toBe(2);

      const of = await addOrder();
      const payers = await Promise.all(
        CALLERS.map((at) => post(`/orders/${of}/pay`, {}, `user ${at}`)),
      );
      expect(tally(payers.map(({ status }) => String(status)))).toEqual({ 201: 1, 409: 23 });
    });

    if (layer.dialect === 'postgres') {
      it('has a second writer wait at the row until the first one has committed', async () => {
        const id = await add();
        const one = put(id, '"1"', { how: 'wait' });
        await gate.reached(1);
        const two = put(id, '"1"', { how: 'wait', at: 2 } as Change);
        const waiting =
          "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        await eventually(async () => (await query(waiting)).length === 1);
        gate.open();
        expect([(await one).status, (await two).status, runs]).toEqual([200, 412, 1]);
      });
    }

    it('makes a transition once, repeats its reply, and says what stands in the way', async () => {
      const id = await addOrder();
      expect((await post(`/orders/${id}/pay`, { how: 'fail' })).status).toBe(500);
      expect(await order(id)).toMatchObject({ status: 'created' });
      const paid = await post(`/orders/${id}/pay`);
      expect(paid.status).toBe(201);
      expectReplay(paid, await post(`/orders/${id}/pay`));
      const late = await post(`/orders/${id}/pay`, {}, 'bob');
      expectProblem(late, 409, 'IDEMPOTENCY_STATE_CONFLICT');
      expect(late.json()).toMatchObject({ current: 'paid', wanted: 'paid' });
      expect(await order(id)).toMatchObject({ status: 'paid' });
      expectProblem(await post(`/orders/${UUID}/pay`), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
    });

    it('ascends to a number from lower ones', async () => {
      const [low, high] = [await addOrder(2), await addOrder(4)];
      expect((await post(`/orders/${low}/ascend`)).status).toBe(201);
      expectProblem(await post(`/orders/${high}/ascend`), 409, 'IDEMPOTENCY_STATE_CONFLICT');
      expect(Number((await order(low))?.stage)).toBe(3);
    });

    it('inserts in the transaction of an operation, and finds what is there', async () => {
      const list = (id: number, dto: Change, key: string) =>
        shop.send(`/listings/${id}`, { method: 'PUT', key, body: dto });
      expect((await list(1, { how: 'fail' }, 'a')).status).toBe(500);
      expect(await query('SELECT id FROM listings WHERE goods_id = 1')).toEqual([]);
      const found = { again: false, id: 'l-1' };
      expect((await list(1, {}, 'b')).json()).toEqual({ made: true, ...found });
      expect((await list(1, {}, 'c')).json()).toEqual({ made: false, ...found });
    });

    it('inserts once for 24 callers of two clients', async () => {
      const executors = [layers.layer.executor, layers.other.executor];
      const results = await Promise.all(
        CALLERS.map((at) =>
          insertOrGet<Listing>(executors[at % 2]!, LISTINGS, {
            id: `many-${at}`,
            goods_id: 2,
            category_id: 7,
            slug: undefined,
          }),
        ),
      );
      expect(results.filter(({ inserted }) => inserted)).toHaveLength(1);
      expect(new Set(results.map(({ row }) => row.id)).size).toBe(1);
      expect(await query('SELECT id FROM listings WHERE goods_id = 2')).toHaveLength(1);
    });

    it('never takes another row for the one that was meant', async () => {
      const { executor } = layers.layer;
      const one = { id: 'one', goods_id: 3, category_id: 7, slug: 'taken' };
      expect(await insertOrGet(executor, LISTINGS, one)).toMatchObject({ inserted: true });
      for (const other of [
        { ...one, id: 'two', goods_id: 4 },
        { ...one, slug: null, goods_id: 4 },
      ])
        await expect(insertOrGet(executor, LISTINGS, other)).rejects.toThrow(
          UniqueIndexConflictError,
        );
      expect(await query('SELECT id FROM listings WHERE goods_id = 4')).toEqual([]);
      await expect(insertOrGet(executor, LISTINGS, { category_id: 7, slug: null })).rejects.toThrow(
        /\(goods_id, category_id\).*Add them/,
      );
      await expect(insertOrGet(executor, LISTINGS, { ...one, goodsId: 3 })).rejects.toThrow(
        /a column of listings: id, goods_id/,
      );
      await expect(insertOrGet(executor, LISTINGS, { id: 'three', goods_id: 5 })).rejects.toThrow(
        /null|default/i,
      );
    });

    it.each<[string, object, RegExp]>([
      ['a table that is not there', { entity: sqlTable('nothing') }, /a table that from/],
      ['a column that is not there', { column: 'revision' }, /a column of goods: id, name/],
      ['a version with decimal places', { entity: sqlTable('fractions') }, /whole numbers/],
      [
        'parts that the key does not have',
        { id: [param('id'), param('id')] },
        /one for each column/,
      ],
      ['anything but a table', { entity: 'goods' }, /sqlTable\('goods'\)/],
      [
        'a column for soft deletion that is not there',
        { entity: sqlTable('goods', { deletedAt: 'gone' }) },
        /deletedAt of sqlTable/,
      ],
    ])('refuses to boot with %s', async (_name, options, remedy) => {
      @Controller()
      class Wrong {
        @Put('goods/:id')
        @Idempotent({
          strategy: 'version',
          entity: GOODS,
          id: param('id'),
          version: ifMatch(),
          ...options,
        })
        put(): void {}
      }
      const store = new SqlStore({ executor: layers.layer.executor, purge: false });
      await expect(bootWith([Wrong], { store })).rejects.toThrow(remedy);
    });

    it('changes rows in a transaction of their own if records are kept elsewhere', async () => {
      const { executor } = layers.layer;
      const resources = new SqlResources({ executor });
      const elsewhere = await bootWith([shopController()], { store: new MemoryStore(), resources });
      const id = await add();
      expect((await put(id, '"1"', { how: 'fail' }, elsewhere)).status).toBe(500);
      expect(await goods(id)).toMatchObject({ name: 'new' });
      const reply = await put(id, '"1"', {}, elsewhere);
      expect([reply.status, reply.headers.etag]).toEqual([200, '"2"']);
      expectReplay(reply, await put(id, '"1"', {}, elsewhere));
      expect(Number((await goods(id))?.version)).toBe(2);
      await elsewhere.close();
    });
  });
}
