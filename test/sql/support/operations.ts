import { Body, Controller, HttpCode, NotFoundException, Post } from '@nestjs/common';
import {
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { currentTransaction, type SqlQuery, SqlStore } from 'nestjs-idempotency/sql';
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from 'nestjs-idempotency/testing';
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

async function attempt(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch {
    // What it has done shows elsewhere.
  }
}

/** A handler that ends its transaction itself, through the layer, and then fails. */
export function describeEndings(layer: Layer): void {
  describe(`a handler that ends its transaction itself, through ${layer.name}`, () => {
    let layers: Layers;
    let shop: TestApp;
    let runs = 0;
    let error: Error;
    let statement: string;

    beforeAll(async () => {
      layers = await openTwice(layer, 4);
      const { executor, insert, run } = layers.layer;
      @Controller()
      class EndingController {
        @Post('ending')
        @Idempotent({ transaction: true })
        async end(@Operation() op: IdempotentOperation): Promise<never> {
          runs += 1;
          await run!(op.tx, statement.replace('{n}', `${runs}`));
          await insert(op.tx, 'payments', `ended ${runs}`);
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

    const commits = layer.dialect === 'mysql' ? 'CREATE TABLE ended_{n} (id int)' : 'COMMIT';

    it.each([
      ['in any way', commits, new Error('out of order')],
      ['with its result', commits, new NotFoundException()],
      ['in any way', 'ROLLBACK', new Error('out of order')],
      ['with its result', 'ROLLBACK', new NotFoundException()],
    ])('and then fails %s, does not run again: %s', async (how, text, failure) => {
      error = failure;
      statement = text;
      const before = runs;
      await shop.send('/ending', { key: `${how} ${text}` });
      const retry = await shop.send('/ending', { key: `${how} ${text}` });
      expect(retry.json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
      expect(runs - before).toBe(1);
    });

    it('by a method of the layer, leaves others alone who have got its connection', async () => {
      // The first connection is free again, so that the second operation gets it.
      const one = await openTwice(layer, 2);
      const { executor, insert } = one.layer;
      const store = new SqlStore({ executor, purge: false });
      const app = await boot('express', { controllers: [], idempotency: { ...PATIENT, store } });
      const service = app.app.get(IdempotencyService);
      for (const end of ['commit', 'rollback'] as const) {
        const ended = new Gate();
        const written = new Gate();
        let isPossible = true;
        const first = service
          .run({ scope: end, key: 'first', transaction: true }, async ({ tx }) => {
            const how = (tx as { commit?: () => unknown; rollback?: () => unknown })[end];
            isPossible = typeof how === 'function';
            // What cannot end it throws.
            if (isPossible) await attempt(() => how!.call(tx));
            await ended.pass();
            if (isPossible) await Promise.race([written.reached(1), sleep(500)]);
            throw new Error('out of order');
          })
          .catch(() => undefined);
        await ended.reached(1);
        const id = `beside ${end}`;
        const second = service.run({ scope: end, key: 'second', transaction: true }, async (op) => {
          await insert(op.tx, 'payments', id);
          await written.pass();
          return id;
        });
        ended.open();
        await first;
        written.open();
        expect(await second).toBe(id);
        expect(await one.layer.query(`SELECT id FROM payments WHERE id = '${id}'`)).toEqual([
          { id },
        ]);
      }
      await app.close();
      await one.stop();
    });

    it('or that writes after its end, writes nothing', async () => {
      const { executor, insert, query } = layers.layer;
      const store = new SqlStore({ executor, purge: false });
      for (const end of ['commit', 'rollback'] as const) {
        const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
        const { manager: tx } = transaction;
        await transaction.run(() => insert(tx, 'payments', `in time ${end}`));
        await transaction[end]();
        const late = attempt(() => insert(tx, 'payments', `late ${end}`));
        await late;
        const written = await query(`SELECT id FROM payments WHERE id = 'late ${end}'`);
        expect([end, written]).toEqual([end, []]);
      }
    });

    if (layer.dialect === 'mysql') {
      const statementOf = (text: string): SqlQuery => {
        return { name: 'deadlock', text, values: [], returnsRows: false };
      };

      /** The server undoes the smaller of two transactions that wait for each other. */
      const deadlock = async (tx: unknown): Promise<void> => {
        // MikroORM takes the transaction that the code runs in.
        const run = AsyncLocalStorage.bind((text: string) => layers.layer.run!(tx, text));
        await run("DELETE FROM payments WHERE id = 'row 0'");
        const undone = new Error('undone');
        await layers.other.executor
          .transaction(async (other) => {
            await other.query(statementOf("DELETE FROM payments WHERE id LIKE 'row 1%'"));
            const [, own] = await Promise.allSettled([
              other.query(statementOf("DELETE FROM payments WHERE id = 'row 0'")),
              run("DELETE FROM payments WHERE id = 'row 10'"),
            ]);
            throw own.status === 'rejected' ? own.reason : undone;
          })
          .catch((error: unknown) => {
            if (error !== undone) throw error;
          });
      };

      it('by a deadlock runs again, unless it has gone on', async () => {
        const rows = Array.from({ length: 20 }, (_, i) => `('row ${i}')`);
        await layers.layer.query(`INSERT INTO payments VALUES ${rows.join(', ')}`);
        const { executor, insert } = layers.layer;
        const store = new SqlStore({ executor, purge: false });
        const app = await boot('express', { controllers: [], idempotency: { ...PATIENT, store } });
        const service = app.app.get(IdempotencyService);
        const attempt = (key: string, work: (tx: unknown) => Promise<unknown>) =>
          service.run({ scope: 'deadlock', key, transaction: true }, async ({ tx }) => {
            runs += 1;
            await work(tx);
            return runs;
          });
        runs = 0;
        const atOnce = await attempt('at once', (tx) =>
          runs === 1 ? deadlock(tx) : insert(tx, 'payments', 'at once'),
        );
        expect(atOnce).toBe(2);
        const wentOn = attempt('went on', async (tx) => {
          await deadlock(tx).catch(() => undefined);
          await insert(tx, 'payments', 'went on');
        });
        // Sequelize ends the transaction itself, and lets nothing more into it.
        if (layer.name.startsWith('fromSequelize'))
          await expect(wentOn).rejects.toThrow(/rollback/);
        else await expect(wentOn).rejects.toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
        expect(runs).toBe(3);
        await app.close();
      });
    }
  });
}
