import { Body, Controller, Headers, NotFoundException, Param, Post } from '@nestjs/common';
import { Idempotent, param } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { expectProblem, expectReplay, type Reply, type TestApp } from '../support/http.js';
import { countByLogger } from '../support/sql-counts.js';
import { tally } from '../support/engine.js';
import { Order } from './support/entities.js';
import { PLACES, StrategyShop } from './support/strategy-shop.js';

const TRANSITIONS = { created: ['paid', 'cancelled'], paid: ['cancelled'] };
const STAGES = { 1: [2], 2: [4], 3: [4] };

describe.each(PLACES)('strategy state on $name', ({ kind, platform }) => {
  let shop: StrategyShop;
  let app: TestApp;
  let runs = 0;

  async function act(id: string, fails?: 'crash' | 'not found'): Promise<object> {
    runs += 1;
    const manager = currentManager(shop.dataSource);
    await manager.update(Order, { id: Number(id) }, { note: `run ${runs}` });
    if (fails === 'crash') throw new Error('out of order');
    if (fails === 'not found') throw new NotFoundException();
    const { status, stage } = await manager.findOneByOrFail(Order, { id: Number(id) });
    return { status, stage };
  }

  @Controller('orders/:id')
  class Orders {
    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to: 'paid',
      from: ['created'],
    })
    @Post('pay')
    pay(
      @Param('id') id: string,
      @Body() { fails }: { fails?: 'crash' | 'not found' },
    ): Promise<object> {
      return act(id, fails);
    }

    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to: 'cancelled',
      from: TRANSITIONS,
    })
    @Post('cancel')
    cancel(@Param('id') id: string): Promise<object> {
      return act(id);
    }

    @Idempotent({ strategy: 'state', entity: Order, id: param('id'), column: 'stage', to: 3 })
    @Post('ascend')
    ascend(@Param('id') id: string): Promise<object> {
      return act(id);
    }

    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'stage',
      to: 4,
      from: STAGES,
    })
    @Post('step')
    step(@Param('id') id: string): Promise<object> {
      return act(id);
    }

    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to: 'paid',
      from: ['created'],
      scope: 'transitions',
    })
    @Post('shared/pay')
    payOfMany(@Param('id') id: string): Promise<object> {
      return act(id);
    }

    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to: 'cancelled',
      from: TRANSITIONS,
      scope: 'transitions',
    })
    @Post('shared/cancel')
    cancelOfMany(@Param('id') id: string): Promise<object> {
      return act(id);
    }

    @Idempotent({ transaction: true })
    @Post('plain')
    plain(@Param('id') id: string, @Headers('idempotency-key') _key: string): Promise<object> {
      return act(id);
    }
  }

  beforeAll(async () => {
    shop = await StrategyShop.on(kind);
    app = await shop.open(platform, Orders, {
      store: shop.store(),
      principal: ({ request }) => request.headers['x-user'] as string | undefined,
    });
  });
  afterAll(() => shop?.close());
  beforeEach(() => {
    runs = 0;
  });

  const send = (id: number | string, verb: string, body: object = {}, user = 'alice') =>
    app.send(`/orders/${id}/${verb}`, { body, headers: { 'x-user': user } });

  it('changes the state before the handler runs, once', async () => {
    const id = await shop.add(Order);
    const first = await send(id, 'pay');

    expect(first.json()).toEqual({ status: 'paid', stage: 1 });
    expectReplay(first, await send(id, 'pay'));
    expect(runs).toBe(1);
  });

  it('gives a repeat with another body the first reply', async () => {
    const id = await shop.add(Order);
    expectReplay(await send(id, 'pay'), await send(id, 'pay', { note: 'please' }));
    expect(runs).toBe(1);
  });

  it('tells transitions apart that share a scope', async () => {
    const id = await shop.add(Order);
    expect((await send(id, 'shared/pay')).json()).toMatchObject({ status: 'paid' });
    expect((await send(id, 'shared/cancel')).json()).toMatchObject({ status: 'cancelled' });
    expect(runs).toBe(2);
  });

  it('refuses a transition that someone else has made', async () => {
    const id = await shop.add(Order);
    await send(id, 'pay');
    const other = await send(id, 'pay', {}, 'bob');

    expectProblem(other, 409, 'IDEMPOTENCY_STATE_CONFLICT');
    expect(other.json()).toMatchObject({ current: 'paid', wanted: 'paid', retryable: false });
    expect(runs).toBe(1);
  });

  it('still answers the one who made it when the state has moved on', async () => {
    const id = await shop.add(Order);
    const paid = await send(id, 'pay');
    expect((await send(id, 'cancel')).json()).toMatchObject({ status: 'cancelled' });
    expectReplay(paid, await send(id, 'pay'));
    expect((await shop.row(Order, id)).status).toBe('cancelled');
  });

  it('refuses to go where the list does not lead', async () => {
    const id = await shop.add(Order, { status: 'cancelled' });
    const reply = await send(id, 'pay');

    expectProblem(reply, 409, 'IDEMPOTENCY_STATE_CONFLICT');
    expect(reply.json()).toMatchObject({ current: 'cancelled', wanted: 'paid' });
    expect(reply.text).toContain('The state cannot change from cancelled to paid.');
    expect(runs).toBe(0);
  });

  it.each(['created', 'paid'])('goes from %s where the transitions lead', async (status) => {
    const id = await shop.add(Order, { status });
    expect((await send(id, 'cancel')).json()).toMatchObject({ status: 'cancelled' });
  });

  it.each([
    [0, 201],
    [2, 201],
    [3, 409],
    [4, 409],
  ])('ascends to 3 from %d: %d', async (stage, status) => {
    const id = await shop.add(Order, { stage });

    expect((await send(id, 'ascend')).status).toBe(status);
    expect((await shop.row(Order, id)).stage).toBe(Math.max(stage, 3));
  });

  it.each([
    [1, 409],
    [2, 201],
    [3, 201],
    [4, 409],
  ])('steps to 4 from %d as the transitions of numbers say: %d', async (stage, status) => {
    expect((await send(await shop.add(Order, { stage }), 'step')).status).toBe(status);
  });

  it.each(['4711', 'abc', '1abc', '99999999999999999999'])('answers 404 for %j', async (id) => {
    expectProblem(await send(id, 'pay'), 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND');
    expect(runs).toBe(0);
  });

  it('leaves the state when the handler fails, and runs the retry', async () => {
    const id = await shop.add(Order);
    expect((await send(id, 'pay', { fails: 'crash' })).status).toBe(500);
    expect(await shop.row(Order, id)).toMatchObject({ status: 'created', note: '' });
    expect((await send(id, 'pay')).json()).toMatchObject({ status: 'paid' });
    expect(runs).toBe(2);
  });

  it('keeps the error that is the result, and not the state', async () => {
    const id = await shop.add(Order);
    const first = await send(id, 'pay', { fails: 'not found' });

    expect(first.status).toBe(404);
    expect(await shop.row(Order, id)).toMatchObject({ status: 'created', note: '' });
    expectReplay(first, await send(id, 'pay', { fails: 'not found' }));
    expect((await send(id, 'pay', {}, 'bob')).json()).toMatchObject({ status: 'paid' });
  });

  it('lets one of many concurrent callers make the transition', async () => {
    const id = await shop.add(Order);
    const replies = await Promise.all(
      Array.from({ length: 24 }, (_, at) => send(id, 'pay', { at }, `user ${at}`)),
    );

    expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 201: 1, 409: 23 });
    expect(await shop.row(Order, id)).toMatchObject({ status: 'paid', note: 'run 1' });
  });

  it('adds one statement to the transaction', async () => {
    const count = countByLogger(shop.dataSource, 'orders');
    const cost = async (act: () => Promise<Reply>): Promise<number> => {
      const before = await count();
      expect((await act()).status).toBe(201);
      return (await count()) - before;
    };
    const id = await shop.add(Order);
    const plain = await cost(() => app.send(`/orders/${id}/plain`, { key: `${id}`, body: {} }));

    expect((await cost(() => send(id, 'pay'))) - plain).toBe(1);
  });
});
