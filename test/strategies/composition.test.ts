import { Body, Controller, NotFoundException, Param, Post, Put } from '@nestjs/common';
import {
  header,
  type IdempotencyEvent,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  ifMatch,
  Operation,
  param,
} from 'nestjs-idempotency';
import { Gate, ManualClock } from 'nestjs-idempotency/testing';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { breakCommit, prepareToBreakCommits } from '../support/break-commit.js';
import { tally } from '../support/engine.js';
import { boot, expectProblem, expectReplay, type TestApp } from '../support/http.js';
import { Goods, Order } from './support/entities.js';
import { PLACES, StrategyShop } from './support/strategy-shop.js';

interface Content {
  readonly name?: string;
  readonly fails?: 'crash' | 'not found' | 'commit';
}

const GOODS = { strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() } as const;
const PAY = {
  strategy: 'state',
  entity: Order,
  id: param('id'),
  column: 'status',
  to: 'paid',
  from: ['created'],
} as const;

/** Longer than a busy machine stands still. */
const LOCK_LEASE_MS = 2_000;

describe.each(PLACES)('several strategies on one handler on $name', ({ kind, platform }) => {
  /** MariaDB has no constraint that is checked at the commit: there the connection is lost. */
  const refusedCommit = kind.name === 'MariaDB' ? 503 : 500;
  let shop: StrategyShop;
  let app: TestApp;
  let runs = 0;
  let gate: Gate | undefined;

  async function work(
    entity: typeof Goods | typeof Order,
    id: string,
    { name = 'x', fails }: Content,
    { key, scope, fencingToken, attempt }: IdempotentOperation,
  ): Promise<object> {
    runs += 1;
    const manager = currentManager(shop.dataSource);
    const column = entity === Goods ? 'name' : 'note';
    await manager.update(entity, { id: Number(id) }, { [column]: name });
    await gate?.pass();
    if (fails === 'crash') throw new Error('out of order');
    if (fails === 'not found') throw new NotFoundException();
    if (fails === 'commit') await breakCommit(shop.dataSource, manager);
    return { key, scope, fencingToken, attempt, runs };
  }

  @Controller()
  class Shop {
    @Idempotent({ key: header() })
    @Idempotent(GOODS)
    @Put('goods/:id')
    goods(@Param('id') id: string, @Body() dto: Content, @Operation() op: IdempotentOperation) {
      return work(Goods, id, dto, op);
    }

    @Idempotent({ key: header() })
    @Idempotent(PAY)
    @Post('orders/:id/pay')
    pay(@Param('id') id: string, @Body() dto: Content, @Operation() op: IdempotentOperation) {
      return work(Order, id, dto, op);
    }

    @Idempotent({ key: header(), wait: '20s' })
    @Idempotent({ ...PAY, wait: '20s' })
    @Post('orders/:id/pay-patiently')
    patient(@Param('id') id: string, @Body() dto: Content, @Operation() op: IdempotentOperation) {
      return work(Order, id, dto, op);
    }

    @Idempotent({ key: header() })
    @Idempotent({ ...PAY, onDuplicate: 'reject' })
    @Post('orders/:id/pay-once')
    once(@Param('id') id: string, @Body() dto: Content, @Operation() op: IdempotentOperation) {
      return work(Order, id, dto, op);
    }

    @Idempotent({ strategy: 'lock', key: param('id'), wait: '20s', lease: LOCK_LEASE_MS })
    @Idempotent({ key: header() })
    @Idempotent(PAY)
    @Post('orders/:id/pay-alone')
    alone(@Param('id') id: string, @Body() dto: Content, @Operation() op: IdempotentOperation) {
      return work(Order, id, dto, op);
    }
  }

  beforeAll(async () => {
    shop = await StrategyShop.on(kind);
    await prepareToBreakCommits(shop.dataSource);
    app = await shop.open(platform, Shop);
  });
  afterAll(() => shop?.close());
  beforeEach(() => {
    runs = 0;
    gate = undefined;
  });

  const put = (id: number, key: string, version: string, body: Content = {}) =>
    app.send(`/goods/${id}`, { method: 'PUT', key, headers: { 'if-match': version }, body });
  const pay = (id: number, key: string, body: Content = {}, how = 'pay') =>
    app.send(`/orders/${id}/${how}`, { key, body });
  const records = async (): Promise<number> => {
    const [row] = await shop.dataSource.query<[{ n: unknown }]>(
      "SELECT count(*) AS n FROM idempotency_records WHERE state <> 'released'",
    );
    return Number(row.n);
  };

  describe('a key around a version', () => {
    it('replays by the key, also when the version has moved on', async () => {
      const id = await shop.add(Goods);
      const first = await put(id, `k${id}`, '"1"');

      expect(first.status).toBe(200);
      expect(first.headers.etag).toBe('"2"');
      await put(id, `other-${id}`, '"2"', { name: 'y' });
      expectReplay(first, await put(id, `k${id}`, '"1"'));
      expect((await shop.row(Goods, id)).version).toBe(3);
    });

    it('gives another key the reply of the same change, and records it there as well', async () => {
      const id = await shop.add(Goods);
      const before = await records();
      const first = await put(id, `a${id}`, '"1"');
      expect(await records()).toBe(before + 2);
      expectReplay(first, await put(id, `b${id}`, '"1"'));
      expect(await records()).toBe(before + 3);
      expectReplay(first, await put(id, `b${id}`, '"7"'));
      expect(runs).toBe(1);
    });

    it('answers a stale version 412, and leaves the key to the right one', async () => {
      const id = await shop.add(Goods);
      const before = await records();
      expectProblem(await put(id, `k${id}`, '"7"'), 412, 'IDEMPOTENCY_VERSION_CONFLICT');
      expect(await records()).toBe(before);
      expect((await put(id, `k${id}`, '"1"')).status).toBe(200);
    });

    it('runs If-Match: * once per key', async () => {
      const id = await shop.add(Goods);
      const first = await put(id, `a${id}`, '*');
      expect(first.headers.etag).toBe('"2"');
      expectReplay(first, await put(id, `a${id}`, '*'));
      expect((await put(id, `b${id}`, '*')).headers.etag).toBe('"3"');
    });

    it('has the other refusals of both', async () => {
      const id = await shop.add(Goods);
      await put(id, `k${id}`, '"1"');
      const reused = await put(id, `k${id}`, '"2"', { name: 'else' });
      expectProblem(reused, 422, 'IDEMPOTENCY_KEY_REUSED');
      expectProblem(await put(4711, 'k4711', '"1"'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
      expectProblem(await put(id, 'malformed', '1'), 400, 'IDEMPOTENCY_KEY_INVALID');
      const path = `/goods/${id}`;
      const noVersion = await app.send(path, { method: 'PUT', key: 'k', body: {} });
      expectProblem(noVersion, 428, 'IDEMPOTENCY_VERSION_REQUIRED');
      const noKey = await app.send(path, { method: 'PUT', headers: { 'if-match': '"2"' } });
      expectProblem(noKey, 400, 'IDEMPOTENCY_KEY_REQUIRED');
    });
  });

  describe('a key around a state', () => {
    it('replays by either', async () => {
      const id = await shop.add(Order);
      const first = await pay(id, `a${id}`);

      expect(first.status).toBe(201);
      expectReplay(first, await pay(id, `a${id}`));
      expectReplay(first, await pay(id, `b${id}`, { name: 'else' }));
      expect(runs).toBe(1);
    });

    it('answers a conflict of the state, and leaves the key', async () => {
      const id = await shop.add(Order, { status: 'cancelled' });
      expectProblem(await pay(id, `k${id}`), 409, 'IDEMPOTENCY_STATE_CONFLICT');
      await shop.dataSource.getRepository(Order).update({ id }, { status: 'created' });
      expect((await pay(id, `k${id}`)).status).toBe(201);
    });

    it('refuses a duplicate of the state where that is what it says', async () => {
      const id = await shop.add(Order);
      await pay(id, `a${id}`, {}, 'pay-once');
      expectProblem(await pay(id, `b${id}`, {}, 'pay-once'), 409, 'IDEMPOTENCY_DUPLICATE');
    });

    it('keeps an error that is the result under both, and undoes the work', async () => {
      const id = await shop.add(Order);
      const first = await pay(id, `a${id}`, { fails: 'not found' });

      expect(first.status).toBe(404);
      expectReplay(first, await pay(id, `a${id}`, { fails: 'not found' }));
      expectReplay(first, await pay(id, `b${id}`, { fails: 'not found' }));
      expect(await shop.row(Order, id)).toMatchObject({ status: 'created', note: '' });
    });

    it.each([
      ['crash', 500],
      ['commit', refusedCommit],
    ] as const)('leaves nothing of any of it after a failed %s', async (fails, status) => {
      const id = await shop.add(Order);
      const before = await records();

      expect((await pay(id, `k${id}`, { fails })).status).toBe(status);
      expect(await records()).toBe(before);
      expect(await shop.row(Order, id)).toMatchObject({ status: 'created', note: '' });
      expect((await pay(id, `new-${id}`)).status).toBe(201);
    });

    it('gives everybody who waits the one reply, whatever their keys', async () => {
      const id = await shop.add(Order);
      const replies = await Promise.all(
        Array.from({ length: 16 }, (_, at) => pay(id, `${id}-${at % 4}`, {}, 'pay-patiently')),
      );

      expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 201: 16 });
      expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
      expect(runs).toBe(1);
    });

    if (kind.hasManySessions) {
      it('refuses another key while the change is in flight, and leaves that key', async () => {
        const id = await shop.add(Order);
        gate = new Gate();
        const first = pay(id, `a${id}`);
        await gate.reached();
        const busy = await pay(id, `b${id}`);
        gate.open();

        expectProblem(busy, 409, 'IDEMPOTENCY_KEY_IN_USE');
        expect(busy.headers['retry-after']).toBe('1');
        expectReplay(await first, await pay(id, `b${id}`));
      });
    }
  });

  describe('a lock around a key around a state', () => {
    it('runs once, known by the key, and with the token of the lock', async () => {
      const id = await shop.add(Order);
      const service = app.app.get(IdempotencyService);
      const scope = 'POST /orders/:id/pay-alone';
      const ofLock: IdempotencyEvent[] = [];
      const listening = service.events$.subscribe((event) => {
        if (event.scope === scope) ofLock.push(event);
      });
      const first = await pay(id, `k${id}`, {}, 'pay-alone');
      listening.unsubscribe();
      const operation = await service.find({ scope: `${scope}#unique-key`, key: `k${id}` });

      expect(operation).toMatchObject({ state: 'completed' });
      const { fencingToken } = first.json() as { fencingToken: number };
      expect(ofLock).toMatchObject([
        { type: 'claimed', strategy: 'lock', fencingToken },
        { type: 'executed' },
        { type: 'released' },
      ]);
      expect(first.json()).toEqual({
        key: `k${id}`,
        scope: `${scope}#unique-key`,
        attempt: 1,
        fencingToken: expect.any(Number) as number,
        runs: 1,
      });
      expectReplay(first, await pay(id, `k${id}`, {}, 'pay-alone'));
    });

    it('lets concurrent callers in one after the other', async () => {
      const id = await shop.add(Order);
      const replies = await Promise.all(
        Array.from({ length: 12 }, (_, at) => pay(id, `${id}-${at}`, {}, 'pay-alone')),
      );

      expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 201: 12 });
      expect(runs).toBe(1);
    });

    it('is free after a refusal of the state, and after a failure', async () => {
      const id = await shop.add(Order);
      expect((await pay(id, `a${id}`, { fails: 'crash' }, 'pay-alone')).status).toBe(500);
      expect((await pay(id, `a${id}`, { fails: 'commit' }, 'pay-alone')).status).toBe(
        refusedCommit,
      );
      await shop.dataSource.getRepository(Order).update({ id }, { status: 'cancelled' });
      expect((await pay(id, `a${id}`, {}, 'pay-alone')).status).toBe(409);
      await shop.dataSource.getRepository(Order).update({ id }, { status: 'created' });
      expect((await pay(id, `a${id}`, {}, 'pay-alone')).status).toBe(201);
    });

    if (kind.hasManySessions) {
      it('undoes the work of a holder that was paused and has lost the lock', async () => {
        const id = await shop.add(Order);
        const clock = new ManualClock();
        const idempotency = { store: shop.store() };
        const paused = await boot(platform, { controllers: [Shop], clock, idempotency });
        gate = new Gate();
        const late = paused.send(`/orders/${id}/pay-alone`, { key: `late-${id}`, body: {} });
        await gate.reached();
        // Takes the lock over, and finds the transition in flight.
        expect((await pay(id, `next-${id}`, {}, 'pay-alone')).status).toBe(409);
        await clock.advance(LOCK_LEASE_MS);
        gate.open();

        expectProblem(await late, 409, 'IDEMPOTENCY_KEY_IN_USE');
        expect(await shop.row(Order, id)).toMatchObject({ status: 'created', note: '' });
        expect((await pay(id, `next-${id}`, {}, 'pay-alone')).status).toBe(201);
        await paused.close();
      });
    }
  });
});
