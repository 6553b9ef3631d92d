import { Body, Controller, HttpCode, NotFoundException, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { currentTransaction, SqlStore } from 'nestjs-idempotency/sql';
import { boot, expectReplay, PATIENT, type TestApp } from '../../support/http.js';
import { type Layer, type Layers, openTwice, type OpenLayer } from './layer.js';

interface Payment {
  readonly id: string;
  readonly fails?: 'not found' | 'out of order' | 'at the commit';
}

/** What an application sees: handlers with `transaction: true` on a data layer. */
export function describeOperations(layer: Layer): void {
  describe(`operations in transactions of ${layer.name}`, () => {
    let layers: Layers;
    let shop: TestApp;
    let other: TestApp;
    let runs = 0;

    const app = ({ executor, insert }: OpenLayer): Promise<TestApp> => {
      const store = new SqlStore({ executor, purge: false });
      @Controller()
      class PaymentsController {
        @Post('payments')
        @HttpCode(201)
        @Idempotent({ transaction: true, wait: '5s' })
        async pay(@Body() { id, fails }: Payment, @Operation() op: IdempotentOperation) {
          runs += 1;
          const isOne = currentTransaction(store) === op.tx && currentTransaction() === op.tx;
          await insert(op.tx, 'payments', id);
          if (fails === 'at the commit') await insert(op.tx, 'children', 'no parent');
          if (fails === 'not found') throw new NotFoundException();
          if (fails === 'out of order') throw new Error(fails);
          return { id, isOne, attempt: op.attempt };
        }
      }
      return boot('express', {
        controllers: [PaymentsController],
        idempotency: { ...PATIENT, store },
      });
    };

    const pay = (payment: Payment, to = shop) =>
      to.send('/payments', { key: payment.id, body: payment });

    const isPaid = async (id: string): Promise<boolean> =>
      (await layers.layer.query(`SELECT id FROM payments WHERE id = '${id}'`)).length === 1;

    beforeAll(async () => {
      layers = await openTwice(layer, 4);
      shop = await app(layers.layer);
      other = await app(layers.other);
    });

    afterAll(async () => {
      await shop?.close();
      await other?.close();
      await layers?.stop();
    });

    it('commits what a handler writes with op.tx together with its reply, and replays that', async () => {
      runs = 0;
      const first = await pay({ id: 'paid' });
      const retry = await pay({ id: 'paid' }, other);

      expect([first.status, first.json()]).toEqual([201, { id: 'paid', isOne: true, attempt: 1 }]);
      expectReplay(first, retry);
      expect([runs, await isPaid('paid')]).toEqual([1, true]);
    });

    it('replays an error that is the result, and undoes what was written', async () => {
      runs = 0;
      const first = await pay({ id: 'missing', fails: 'not found' });
      expect(first.status).toBe(404);
      expectReplay(first, await pay({ id: 'missing', fails: 'not found' }, other));
      expect([runs, await isPaid('missing')]).toEqual([1, false]);
    });

    it('runs again what has failed, and leaves nothing of it', async () => {
      runs = 0;
      expect((await pay({ id: 'failed', fails: 'out of order' })).status).toBe(500);
      expect(await isPaid('failed')).toBe(false);
      expect((await pay({ id: 'failed', fails: 'out of order' }, other)).status).toBe(500);
      expect(runs).toBe(2);
    });

    it('runs once for many callers of two processes at once', async () => {
      runs = 0;
      const replies = await Promise.all(
        Array.from({ length: 16 }, (_, i) => pay({ id: 'crowd' }, i % 2 === 0 ? shop : other)),
      );
      expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
      expect([runs, await isPaid('crowd')]).toEqual([1, true]);
    });

    if (layer.dialect === 'postgres') {
      it('lets no success out whose commit fails', async () => {
        const reply = await pay({ id: 'uncommitted', fails: 'at the commit' });
        expect(reply.status).toBeGreaterThanOrEqual(500);
        expect(await isPaid('uncommitted')).toBe(false);
      });
    }
  });
}

/** A handler that ends its transaction itself, through the layer, and then fails. */
export function describeEndings(layer: Layer): void {
  describe(`a handler that ends its transaction itself, through ${layer.name}`, () => {
    let layers: Layers;
    let shop: TestApp;
    let runs = 0;
    let error: Error;

    beforeAll(async () => {
      layers = await openTwice(layer, 4);
      const { executor, run } = layers.layer;
      @Controller()
      class EndingController {
        @Post('ending')
        @Idempotent({ transaction: true })
        async end(@Operation() op: IdempotentOperation): Promise<never> {
          runs += 1;
          const end = layer.dialect === 'mysql' ? `CREATE TABLE ended_${runs} (id int)` : 'COMMIT';
          await run!(op.tx, end);
          throw error;
        }
      }
      shop = await boot('express', {
        controllers: [EndingController],
        idempotency: { ...PATIENT, store: new SqlStore({ executor, purge: false }) },
      });
    });

    afterAll(async () => {
      await shop?.close();
      await layers?.stop();
    });

    it.each([
      ['in any way', new Error('out of order')],
      ['with its result', new NotFoundException()],
    ])('and then fails %s, does not run again', async (how, failure) => {
      error = failure;
      const before = runs;
      await shop.send('/ending', { key: how });
      const retry = await shop.send('/ending', { key: how });
      expect(retry.json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
      expect(runs - before).toBe(1);
    });
  });
}
