import { Body, Controller, Param, Post } from '@nestjs/common';
import { body, Idempotent, type IdempotentOperation, Operation, param } from 'nestjs-idempotency';
import { currentManager, insertOrGet } from 'nestjs-idempotency/typeorm';
import { failBefore, Gate } from 'nestjs-idempotency/testing';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { eventually, expectProblem, type TestApp } from '../support/http.js';
import { Instances, PLACES } from './support/instances.js';

const LEASE_MS = 1_000;
const [CREATED, PAID] = [1, 2];

@Entity('orders')
class Order {
  @PrimaryColumn('uuid') id!: string;
  @Column('integer') status!: number;
}

@Entity('accounts')
class Account {
  @PrimaryColumn('varchar', { length: 36 }) id!: string;
  @Column('varchar', { length: 10 }) lastWriter!: string;
  @Column('bigint') fencingToken!: string;
}

/** Who comes first, on every other place the other way round. */
const ORDERS = [
  ['express', 'fastify'],
  ['fastify', 'express'],
] as const;

describe.each(PLACES)('on $kind.name with records in $records', (place) => {
  let instances: Instances;
  let texts: string[] = [];
  let gate = new Gate();

  @Controller()
  class Shop {
    @Idempotent({ key: body('messageId'), wait: '10s' })
    @Post('text-messages')
    async text(@Body() { messageId }: { messageId: string }): Promise<object> {
      texts.push(messageId);
      await gate.pass();
      return { sent: messageId };
    }

    @Idempotent({ lease: LEASE_MS })
    @Post('orders')
    async place(@Operation() op: IdempotentOperation): Promise<object> {
      const values = { id: await op.id(), status: CREATED };
      const { entity, inserted } = await insertOrGet(instances.dataSource.manager, Order, values);
      return { id: entity.id, inserted, attempt: op.attempt };
    }

    @OrderBecomes(CREATED)
    @Post('orders/:id/created')
    created(@Param('id') id: string): Promise<object> {
      return this.find(id);
    }

    @OrderBecomes(PAID)
    @Post('orders/:id/paid')
    paid(@Param('id') id: string): Promise<object> {
      return this.find(id);
    }

    @Idempotent({ strategy: 'lock', key: param('id'), lease: LEASE_MS, wait: '10s' })
    @Post('accounts/:id')
    async write(
      @Param('id') id: string,
      @Body() { writer }: { writer: string },
      @Operation() op: IdempotentOperation,
    ): Promise<object> {
      if (writer === 'paused') await gate.pass();
      const { affected } = await instances.dataSource
        .createQueryBuilder()
        .update(Account)
        .set({ lastWriter: writer, fencingToken: String(op.fencingToken) })
        .where('id = :id AND fencingToken < :token', { id, token: op.fencingToken })
        .execute();
      return { affected, aborted: op.signal.aborted };
    }

    private find(id: string): Promise<Order> {
      return currentManager(instances.dataSource).findOneByOrFail(Order, { id });
    }
  }

  beforeAll(async () => {
    instances = await Instances.on(place, [Order, Account]);
  }, 60_000);

  afterAll(() => instances?.close());

  beforeEach(() => {
    texts = [];
    gate = new Gate();
    instances.firstStore.heal();
  });

  describe.each([ORDERS[PLACES.indexOf(place) % 2]!])('first on %s, second on %s', (...order) => {
    let first: TestApp;
    let second: TestApp;

    beforeAll(async () => {
      [first, second] = await instances.open(Shop, order);
    });

    it('S4: a status that comes too late is skipped, and the order stays paid', async () => {
      const id = crypto.randomUUID();
      await instances.dataSource.getRepository(Order).insert({ id, status: 0 });
      const paid = await first.send(`/orders/${id}/paid`);
      expect(paid.json()).toEqual({ id, status: PAID });
      const late = await second.send(`/orders/${id}/created`);
      expectProblem(late, 409, 'IDEMPOTENCY_STATE_CONFLICT');
      const again = await second.send(`/orders/${id}/paid`);
      expect(again.headers).toHaveProperty('idempotent-replayed', 'true');
      expect(again.text).toBe(paid.text);
    });

    it('S5: a message that is delivered to a second consumer meanwhile is worked on once', async () => {
      const delivery = { body: { messageId: crypto.randomUUID() } };
      const slow = first.send('/text-messages', delivery);
      await gate.reached();
      const again = second.send('/text-messages', delivery);
      gate.open();
      expect((await again).text).toBe((await slow).text);
      expect(texts).toEqual([delivery.body.messageId]);
    });

    it('S12: a holder that was paused and overtaken does not write over its successor', async () => {
      const id = crypto.randomUUID();
      const account = { id, lastWriter: '', fencingToken: '0' };
      await instances.dataSource.getRepository(Account).insert(account);
      instances.firstStore.always('extend', failBefore());

      const paused = first.send(`/accounts/${id}`, { body: { writer: 'paused' } });
      await gate.reached();
      const next = await second.send(`/accounts/${id}`, { body: { writer: 'next' } });
      gate.open();

      expect(next.json()).toEqual({ affected: 1, aborted: false });
      await paused;
      const { lastWriter } = await instances.dataSource
        .getRepository(Account)
        .findOneByOrFail({ id });
      expect(lastWriter).toBe('next');
    });

    it('S17: an attempt whose insert was not recorded is met by the next one', async () => {
      const call = { key: crypto.randomUUID() };
      instances.firstStore.always('extend', failBefore()).always('complete', failBefore());
      const lost = await first.send('/orders', call);
      expect(lost.json()).toMatchObject({ inserted: true, attempt: 1 });

      let retry = await second.send('/orders', call);
      await eventually(async () => {
        retry = await second.send('/orders', call);
        return retry.status === 201;
      }, 20_000);
      const { id } = lost.json() as Order;
      expect(retry.json()).toEqual({ id, inserted: false, attempt: 2 });
    });
  });
});

/** The ascending rule: `status < to`. */
function OrderBecomes(to: number): MethodDecorator {
  return Idempotent({ strategy: 'state', entity: Order, id: param('id'), column: 'status', to });
}
