import { Body, Controller, NotFoundException, Param, Put } from '@nestjs/common';
import { body, Idempotent, ifMatch, param } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import type { EntityManager } from 'typeorm';
import { expectProblem, expectReplay, type Reply, type TestApp } from '../support/http.js';
import { countByLogger } from '../support/sql-counts.js';
import { tally } from '../support/engine.js';
import { MARIADB, SQLITE } from '../support/sql-databases.js';
import { Goods, Price } from './support/entities.js';
import { PLACES, StrategyShop } from './support/strategy-shop.js';

const HOW = ['save', 'update', 'save twice', 'nothing'] as const;

interface Change {
  readonly name: string;
  readonly how?: (typeof HOW)[number] | 'save in vain' | 'save and crash' | 'update, and not found';
}

describe.each(PLACES)('strategy version on $name', ({ kind, platform }) => {
  let shop: StrategyShop;
  let app: TestApp;
  let runs = 0;

  async function save(manager: EntityManager, id: number, name: string): Promise<void> {
    const goods = await manager.findOneByOrFail(Goods, { id });
    goods.name = name;
    await manager.save(goods);
  }

  async function change(id: number, { name, how = 'update' }: Change): Promise<object> {
    runs += 1;
    const manager = currentManager(shop.dataSource);
    switch (how) {
      case 'nothing':
        break;
      case 'update':
        await manager.update(Goods, { id }, { name });
        break;
      case 'save':
        await save(manager, id, name);
        break;
      case 'save twice':
        await save(manager, id, `${name}, first`);
        await save(manager, id, name);
        break;
      case 'save in vain':
        await manager
          .transaction(async (nested) => {
            await save(nested, id, name);
            throw new Error('in vain');
          })
          .catch(() => undefined);
        break;
      case 'save and crash':
        await save(manager, id, name);
        throw new Error('out of order');
      case 'update, and not found':
        await manager.update(Goods, { id }, { name });
        throw new NotFoundException();
    }
    return { id, runs };
  }

  @Controller()
  class Shop {
    @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })
    @Put('goods/:id')
    put(@Param('id') id: string, @Body() dto: Change): Promise<object> {
      return change(Number(id), dto);
    }

    @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: body('version') })
    @Put('goods/:id/body')
    putBody(@Param('id') id: string, @Body() dto: Change): Promise<object> {
      return change(Number(id), dto);
    }

    @Idempotent({
      strategy: 'version',
      entity: Goods,
      id: param('id'),
      version: body('version'),
      mode: 'newer',
    })
    @Put('goods/:id/name')
    rename(@Param('id') id: string, @Body() dto: Change): Promise<object> {
      return change(Number(id), dto);
    }

    @Idempotent({
      strategy: 'version',
      entity: Price,
      id: [param('shop'), param('goods')],
      version: ifMatch(),
      column: 'revision',
    })
    @Put('shops/:shop/goods/:goods/price')
    async price(
      @Param() of: { shop: string; goods: number },
      @Body() { cents }: { cents: number },
    ): Promise<void> {
      await currentManager(shop.dataSource).update(Price, of, { cents });
    }

    @Idempotent({ transaction: true })
    @Put('plain/:id')
    plain(@Param('id') id: string, @Body() dto: Change): Promise<object> {
      return change(Number(id), dto);
    }
  }

  beforeAll(async () => {
    shop = await StrategyShop.on(kind);
    app = await shop.open(platform, Shop);
  });
  afterAll(() => shop?.close());
  beforeEach(() => {
    runs = 0;
  });

  const put = (
    id: number | string,
    version: string | undefined,
    dto: Change = { name: 'x' },
  ): Promise<Reply> =>
    app.send(`/goods/${id}`, {
      method: 'PUT',
      headers: version === undefined ? {} : { 'if-match': version },
      body: dto,
    });
  const putBody = (path: string, content: object): Promise<Reply> =>
    app.send(path, { method: 'PUT', body: { name: 'x', ...content } });
  const versionOf = async (id: number): Promise<number> => (await shop.row(Goods, id)).version;

  describe('raises the version by one, and says so', () => {
    it.each(HOW)('when the handler does: %s', async (how) => {
      const id = await shop.add(Goods);
      const first = await put(id, '"1"', { name: 'a', how });

      expect(first.status).toBe(200);
      expect(first.headers.etag).toBe('"2"');
      expect(await versionOf(id)).toBe(2);
      expect((await put(id, '"2"', { name: 'b', how })).headers.etag).toBe('"3"');
      expect(await versionOf(id)).toBe(3);
      expectReplay(first, await put(id, '"1"', { name: 'a', how }));
      expect(await versionOf(id)).toBe(3);
    });

    it('when what the handler saved was undone', async () => {
      const id = await shop.add(Goods);
      await put(id, '"1"', { name: 'a', how: 'save in vain' });
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'new', version: 2 });
    });

    it('when what an earlier call has saved was undone', async () => {
      const id = await shop.add(Goods);
      expect((await put(id, '"1"', { name: 'a', how: 'save and crash' })).status).toBe(500);
      await put(id, '"1"', { name: 'b', how: 'nothing' });
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'new', version: 2 });
    });

    it('for a key of two columns, a column that is named, and 64 bits', async () => {
      // The driver for SQLite has numbers of JavaScript only.
      const [present, next] =
        kind === SQLITE ? ['41', '42'] : ['9007199254740993', '9007199254740994'];
      const of = { shop: 'north', goods: 7 };
      const prices = shop.dataSource.getRepository(Price);
      await prices.insert([
        { ...of, revision: present },
        { ...of, shop: 'south' },
      ]);
      const price = (name: string): Promise<Reply> =>
        app.send(`/shops/${name}/goods/7/price`, {
          method: 'PUT',
          headers: { 'if-match': `"${present}"` },
          body: { cents: 5 },
        });
      const first = await price('north');

      expect(first.status).toBe(200);
      expect(first.headers.etag).toBe(`"${next}"`);
      expectReplay(first, await price('north'));
      expect((await price('south')).status).toBe(412);
      const changed = await prices.findOneByOrFail(of);
      expect([changed.cents, String(changed.revision)]).toEqual([5, next]);
      const other = await prices.findOneByOrFail({ ...of, shop: 'south' });
      expect([other.cents, String(other.revision)]).toEqual([0, '1']);
    });
  });

  describe('refuses what is not based on the present version', () => {
    it('with 412 for If-Match, and the version that is there', async () => {
      const id = await shop.add(Goods, { version: 5 });
      const stale = await put(id, '"4"');

      expectProblem(stale, 412, 'IDEMPOTENCY_VERSION_CONFLICT');
      expect(stale.json()).toMatchObject({ current: 5, retryable: false });
      expect(stale.headers).not.toHaveProperty('retry-after');
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'new', version: 5 });
      expect(runs).toBe(0);
    });

    it('with 409 for a version in the body', async () => {
      const id = await shop.add(Goods);
      const first = await putBody(`/goods/${id}/body`, { version: 1 });
      const stale = await putBody(`/goods/${id}/body`, { version: 1, name: 'other' });

      expect(first.headers.etag).toBe('"2"');
      expectProblem(stale, 409, 'IDEMPOTENCY_VERSION_CONFLICT');
      expect(stale.json()).toMatchObject({ current: 2 });
    });

    it('as stale, not as a key that was reused, when another writer was first', async () => {
      const id = await shop.add(Goods);
      await put(id, '"1"', { name: 'mine' });

      expectProblem(await put(id, '"1"', { name: 'theirs' }), 412, 'IDEMPOTENCY_VERSION_CONFLICT');
      expect((await shop.row(Goods, id)).name).toBe('mine');
    });

    it('but runs once the same content is based on it', async () => {
      const id = await shop.add(Goods);
      expect((await put(id, '"2"')).status).toBe(412);
      await put(id, '"1"');
      expect((await put(id, '"2"')).headers.etag).toBe('"3"');
    });

    it('for all but one of many concurrent writers', async () => {
      const id = await shop.add(Goods);
      const replies = await Promise.all(
        Array.from({ length: 24 }, (_, at) => put(id, '"1"', { name: `writer ${at}` })),
      );

      expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 200: 1, 412: 23 });
      const winner = replies.findIndex(({ status }) => status === 200);
      expect(await shop.row(Goods, id)).toMatchObject({ name: `writer ${winner}`, version: 2 });
    });
  });

  describe('with a newer version', () => {
    const rename = (id: number, version: unknown, name = 'x'): Promise<Reply> =>
      putBody(`/goods/${id}/name`, { version, name });

    it('sets it, once, however often and whoever sends it', async () => {
      const id = await shop.add(Goods);
      const first = await rename(id, 7, 'seven');

      expect(first.headers.etag).toBe('"7"');
      expectReplay(first, await rename(id, 7, 'seven'));
      for (const version of [7, 6, -1]) {
        const late = await rename(id, version, 'late');
        expectProblem(late, 409, 'IDEMPOTENCY_VERSION_CONFLICT');
        expect(late.json()).toMatchObject({ current: 7 });
      }
      expect((await rename(id, 8, 'eight')).headers.etag).toBe('"8"');
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'eight', version: 8 });
    });

    it.each(['1.5', 'seven', 1e30, '99999999999999999999', true])(
      'refuses %j with 400',
      async (version) => {
        const id = await shop.add(Goods);
        expectProblem(await rename(id, version), 400, 'IDEMPOTENCY_KEY_INVALID');
        expect(runs).toBe(0);
      },
    );
  });

  it.each(['4711', 'abc', '1abc', '1 or 1=1', '1.0', '2147483648', '99999999999999999999'])(
    'answers 404 for the row %j, which is not there',
    async (id) => {
      expectProblem(
        await put(encodeURIComponent(id), '"1"'),
        404,
        'IDEMPOTENCY_RESOURCE_NOT_FOUND',
      );
      expect(runs).toBe(0);
    },
  );

  if (kind === MARIADB || kind === SQLITE) {
    it('finds rows by all the numbers that there is room for', async () => {
      const id = 3_000_000_000;
      await shop.dataSource.getRepository(Goods).insert({ id });
      expect((await put(id, '"1"')).headers.etag).toBe('"2"');
    });
  }

  it('answers 404 for a row that was deleted softly', async () => {
    const id = await shop.add(Goods);
    await shop.dataSource.getRepository(Goods).softDelete({ id });
    expectProblem(await put(id, '"2"'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
  });

  it('answers 428 without a version', async () => {
    const id = await shop.add(Goods);
    expectProblem(await put(id, undefined), 428, 'IDEMPOTENCY_VERSION_REQUIRED');
    expectProblem(await putBody(`/goods/${id}/body`, {}), 428, 'IDEMPOTENCY_VERSION_REQUIRED');
    expect(runs).toBe(0);
  });

  describe('reads If-Match', () => {
    it('* as whichever version there is: every time anew', async () => {
      const id = await shop.add(Goods);

      expect((await put(id, '*', { name: 'a' })).headers.etag).toBe('"2"');
      const again = await put(id, '*', { name: 'a' });
      expect(again.headers).not.toHaveProperty('idempotent-replayed');
      expect(again.headers.etag).toBe('"3"');
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'a', version: 3 });
      expectProblem(await put(4711, '*'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
    });

    it.each(['"7", "1"', '"1","2"', ', "1" ,', 'W/"7", "1"'])('%s as a list', async (tags) => {
      expect((await put(await shop.add(Goods), tags)).headers.etag).toBe('"2"');
    });

    it.each(['W/"1"', 'W/"1", "2"', '"01"', '""'])('%s as no match', async (tags) => {
      expect((await put(await shop.add(Goods), tags)).status).toBe(412);
    });

    it.each(['1', '"1', 'w/"1"', '"1" "2"', '*, "1"', ',', '"1 "'])(
      '%s as malformed',
      async (tags) => {
        const reply = await put(await shop.add(Goods), tags);
        expectProblem(reply, 400, 'IDEMPOTENCY_KEY_INVALID');
        expect(reply.text).toContain('If-Match');
      },
    );
  });

  describe('when the handler fails', () => {
    it('with a result, keeps that, and the version as it was', async () => {
      const id = await shop.add(Goods);
      const first = await put(id, '"1"', { name: 'a', how: 'update, and not found' });

      expect(first.status).toBe(404);
      expect(first.headers.etag).not.toBe('"2"');
      expectReplay(first, await put(id, '"1"', { name: 'a', how: 'update, and not found' }));
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'new', version: 1 });
      expect((await put(id, '"1"', { name: 'b' })).status).toBe(200);
    });

    it('without one, runs the retry', async () => {
      const id = await shop.add(Goods);
      const failed = await put(id, '"1"', { name: 'a', how: 'save and crash' });

      expect(failed.status).toBe(500);
      expect(failed.headers.etag).not.toBe('"2"');
      await put(id, '"1"', { name: 'a', how: 'save and crash' });
      expect(runs).toBe(2);
      expect(await shop.row(Goods, id)).toMatchObject({ name: 'new', version: 1 });
    });
  });

  it.each([
    ['save', 1],
    ['update', 2],
    ['nothing', 2],
  ] as const)('adds to the transaction of a handler that does: %s %d', async (how, added) => {
    const count = countByLogger(shop.dataSource, 'goods');
    const cost = async (act: () => Promise<Reply>): Promise<number> => {
      const before = await count();
      expect((await act()).status).toBe(200);
      return (await count()) - before;
    };
    const [one, other] = [await shop.add(Goods), await shop.add(Goods)];
    const plain = await cost(() =>
      app.send(`/plain/${one}`, { method: 'PUT', key: `${one}`, body: { name: 'a', how } }),
    );
    const versioned = await cost(() => put(other, '"1"', { name: 'a', how }));

    expect(versioned - plain).toBe(added);
  });
});
