import { Body, Controller, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { fromPrisma, SqlStore } from 'nestjs-idempotency/sql';
import { claimOf } from '../support/claims.js';
import { boot, PATIENT } from '../support/http.js';
import { describeEscapes } from './support/escapes.js';
import { type Layers, openTwice } from './support/layer.js';
import { PRISMA_PG, type PrismaClient, type PrismaTx } from './support/prisma.js';

describeEscapes(PRISMA_PG);

describe('fromPrisma()', () => {
  let layers: Layers;
  let prisma: PrismaClient;

  beforeAll(async () => {
    layers = await openTwice(PRISMA_PG, 2);
    prisma = layers.layer.executor.client as PrismaClient;
  });

  afterAll(() => layers?.stop());

  it('gives handlers the extended client, whose extensions see nothing of the records', async () => {
    const seen: string[] = [];
    const extended = prisma.$extends({
      query: {
        async $allOperations({ operation, args, query }: Extended) {
          seen.push(operation);
          return query(args);
        },
      },
    });

    @Controller()
    class PaymentsController {
      @Post('payments')
      @Idempotent({ transaction: true })
      pay(@Body() data: { id: string }, @Operation() op: IdempotentOperation<PrismaTx>) {
        return op.tx.payment.create({ data });
      }
    }
    const store = new SqlStore({ executor: fromPrisma(extended), purge: false });
    const shop = await boot('express', {
      controllers: [PaymentsController],
      idempotency: { ...PATIENT, store },
    });
    const pay = () => shop.send('/payments', { key: 'extended', body: { id: 'extended' } });
    const first = await pay();

    expect([first.status, first.json()]).toEqual([201, { id: 'extended' }]);
    expect((await pay()).headers['idempotent-replayed']).toBe('true');
    expect(seen).toEqual(['create']);
    await shop.close();
  });

  it('does not end a transaction that takes longer than Prisma would let it', async () => {
    const { executor } = layers.layer;
    const impatient = fromPrisma(
      new Proxy(prisma, {
        get: (target, name) =>
          name === '$transaction'
            ? (work: never, options: object) =>
                target.$transaction(work, { maxWait: 1, timeout: 1, ...options })
            : Reflect.get(target, name),
      }),
    );
    const store = new SqlStore({ executor: impatient, purge: false });
    const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    await transaction.acquire(claimOf());
    const tx = transaction.manager as unknown as PrismaTx;
    await tx.$executeRawUnsafe('SELECT pg_sleep(0.1)');
    await tx.payment.create({ data: { id: 'slow' } });
    await transaction.commit();
    expect(await executor.query(FIND_SLOW)).toMatchObject({ rows: [{ id: 'slow' }] });
  });

  it('tells a conflict and a broken rule by the codes of the driver, not by those of Prisma', async () => {
    const store = new SqlStore({ executor: layers.layer.executor, purge: false });
    const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
      transaction.failureOf?.(await work.catch((error: unknown) => error));
    const raise = (state: string): Promise<unknown> =>
      prisma.$executeRawUnsafe(`DO $$ BEGIN RAISE 'no' USING ERRCODE = '${state}'; END $$`);
    await prisma.payment.create({ data: { id: 'twice' } });

    expect(await failureOf(raise('40001'))).toBe('conflict');
    expect(await failureOf(raise('23514'))).toBe('work');
    expect(await failureOf(prisma.payment.create({ data: { id: 'twice' } }))).toBe('work');
    expect(await failureOf(raise('57014'))).toBe('unknown');
    const named = (code: string): Promise<never> =>
      Promise.reject(Object.assign(new Error('Prisma'), { code }));
    expect(await failureOf(named('P2034'))).toBe('conflict');
    expect(await failureOf(named('P2028'))).toBe('unknown');
    await transaction.rollback();
  });
});

interface Extended {
  readonly operation: string;
  readonly args: object;
  readonly query: (args: object) => Promise<unknown>;
}

const FIND_SLOW = {
  name: 'find_slow',
  text: "SELECT id FROM payments WHERE id = 'slow'",
  values: [],
  returnsRows: true,
};
