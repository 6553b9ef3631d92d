import { Controller, Delete, Param, Post, Query } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation, param } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import type { EntityManager } from 'typeorm';
import { Order } from '../strategies/support/entities.js';
import { PLACES, StrategyShop } from '../strategies/support/strategy-shop.js';
import { expectProblem, expectReplay, type Reply, type TestApp } from '../support/http.js';
import { MODES, principal, tokenFor } from './support/token-shop.js';

/** Every database on both platforms, once with each mode. */
const CASES = PLACES.map((place, index) => ({ ...place, ...MODES[index % MODES.length]! }));

describe.each(CASES)('a $mode token on $name', ({ kind, platform, tokens }) => {
  let shop: StrategyShop;
  let app: TestApp;
  let failures = 0;

  @Controller('orders')
  class Orders {
    @Idempotent({ strategy: 'token', transaction: true })
    @Delete()
    async clear(
      @Query('status') status: string,
      @Operation() operation: IdempotentOperation,
    ): Promise<object> {
      // Forgotten at once it would run again, or never.
      operation.setTtl('1ms');
      const manager = operation.manager as EntityManager;
      const found = await manager.findBy(Order, { status });
      await manager.remove(found);
      if (failures-- > 0) throw new Error('on purpose');
      return { deleted: found.length };
    }

    @Idempotent({ strategy: 'token', purpose: 'pay' })
    @Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to: 'paid',
      from: ['created'],
    })
    @Post(':id/pay')
    async pay(@Param('id') id: string): Promise<object> {
      const manager = currentManager(shop.dataSource);
      await manager.increment(Order, { id: Number(id) }, 'stage', 1);
      if (failures-- > 0) throw new Error('on purpose');
      return { id };
    }
  }

  beforeAll(async () => {
    shop = await StrategyShop.on(kind);
    app = await shop.open(platform, Orders, {
      store: shop.store(),
      principal,
      tokens: { ...tokens, purposes: ['pay'] },
      tokenController: true,
    });
  }, 60_000);
  afterAll(() => shop?.close());
  beforeEach(() => {
    failures = 0;
  });

  const headers = { 'x-user': 'alice' };
  const clear = (key: string): Promise<Reply> =>
    app.send('/orders?status=cancelled', { method: 'DELETE', key, headers });
  const pay = (id: number, key: string): Promise<Reply> =>
    app.send(`/orders/${id}/pay`, { key, headers });
  const cancelled = (): Promise<number> =>
    shop.dataSource.manager.countBy(Order, { status: 'cancelled' });

  it('S10, S21: repeats "delete where status = …" without touching what has become so since', async () => {
    const token = await tokenFor(app);
    await shop.add(Order, { status: 'cancelled' });
    await shop.add(Order, { status: 'cancelled' });
    const first = await clear(token);
    expect(first.json()).toEqual({ deleted: 2 });
    await shop.add(Order, { status: 'cancelled' });
    expectReplay(first, await clear(token));
    expect(await cancelled()).toBe(1);
    expect((await clear(await tokenFor(app))).json()).toEqual({ deleted: 1 });
    expectReplay(first, await clear(token));
  });

  it('S10b: leaves neither record nor effect of a transaction that failed', async () => {
    const token = await tokenFor(app);
    await shop.add(Order, { status: 'cancelled' });
    failures = 2;
    expect((await clear(token)).status).toBe(500);
    expect((await clear(token)).status).toBe(500);
    expect(await cancelled()).toBe(1);
    expect((await clear(token)).json()).toEqual({ deleted: 1 });
    expectProblem(await clear('no token'), 422, 'IDEMPOTENCY_TOKEN_INVALID');
  });

  it('goes around a state, in one transaction with it', async () => {
    const id = await shop.add(Order);
    const token = await tokenFor(app, 'pay');
    expectProblem(await pay(id, await tokenFor(app)), 422, 'IDEMPOTENCY_TOKEN_INVALID');
    failures = 1;
    expect((await pay(id, token)).status).toBe(500);
    const first = await pay(id, token);
    expect(first.status).toBe(201);
    expectReplay(first, await pay(id, token));
    expect(await shop.row(Order, id)).toMatchObject({ status: 'paid', stage: 2 });
  });

  it('is still good when the state refuses', async () => {
    const id = await shop.add(Order, { status: 'cancelled' });
    const token = await tokenFor(app, 'pay');
    expectProblem(await pay(id, token), 409, 'IDEMPOTENCY_STATE_CONFLICT');
    await shop.dataSource.manager.update(Order, { id }, { status: 'created' });
    expect((await pay(id, token)).status).toBe(201);
  });
});
