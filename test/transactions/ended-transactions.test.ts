import { Controller, NotFoundException, Post } from '@nestjs/common';
import {
  type IdempotencyEvent,
  Idempotent,
  IdempotencyService,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import type { TransactionalStore } from 'nestjs-idempotency/contracts';
import { fromMysql2, SqlStore } from 'nestjs-idempotency/sql';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { createPool, type PoolConnection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { claimOf } from '../support/claims.js';
import { boot, PATIENT, type Reply, type TestApp } from '../support/http.js';
import { MYSQL2 } from '../sql/support/drivers.js';
import { openTwice } from '../sql/support/layer.js';
import { MARIADB, POSTGRES, type SqlDatabaseKind } from '../support/sql-databases.js';

/** A store, and how a handler runs any statement in its transaction. */
interface Opened {
  readonly store: TransactionalStore;
  run(operation: IdempotentOperation, text: string): Promise<unknown>;
  stop(): Promise<void>;
}

const overTypeOrm = (kind: SqlDatabaseKind) => async (): Promise<Opened> => {
  const database = await kind.start();
  const dataSource = await database.connect();
  await dataSource.runMigrations();
  return {
    store: new TypeOrmStore({ dataSource, purge: false }),
    run: ({ manager }, text) => (manager as EntityManager).query(text),
    stop: () => database.stop(),
  };
};

const overMysql2 = async (): Promise<Opened> => {
  const layers = await openTwice({ ...MYSQL2, open: (uri) => openMysql2(uri) }, 4);
  return {
    store: new SqlStore({ executor: layers.layer.executor, purge: false }),
    run: ({ tx }, text) => (tx as unknown as PoolConnection).query(text),
    stop: () => layers.stop(),
  };
};

function openMysql2(uri: string) {
  const pool = createPool({ uri, connectionLimit: 4 });
  return {
    executor: fromMysql2(pool),
    insert: () => Promise.reject(new Error('not needed')),
    query: async (text: string) => (await pool.query(text))[0] as Record<string, unknown>[],
    close: () => pool.end(),
  };
}

const LONGEST_LEASE_MS = 10 * 60_000;

const ENCRYPTED = { encryption: { keys: [Buffer.alloc(32, 7)] } };

describe.each<[string, () => Promise<Opened>, readonly string[], object?]>([
  ['TypeORM on PostgreSQL, encrypted', overTypeOrm(POSTGRES), ['COMMIT'], ENCRYPTED],
  ['TypeORM on MariaDB', overTypeOrm(MARIADB), ['COMMIT', 'CREATE TABLE ended_{n} (id int)']],
  ['mysql2', overMysql2, ['CREATE TABLE ended_{n} (id int)']],
])('a handler that ends its transaction itself, with %s', (_name, open, ends, options) => {
  let opened: Opened;
  let shop: TestApp;
  let service: IdempotencyService;
  let events: IdempotencyEvent[];
  let statement: string;
  let fails: boolean;
  let error: Error;
  let runs = 0;
  let leaseMs: number | undefined;

  beforeAll(async () => {
    opened = await open();
    @Controller()
    class Ending {
      @Post('ending')
      @Idempotent({ transaction: true })
      async ending(@Operation() operation: IdempotentOperation): Promise<object> {
        runs += 1;
        if (statement !== '') await opened.run(operation, statement);
        const id = events.find(({ type }) => type === 'claimed')?.id;
        if (id !== undefined) leaseMs = (await opened.store.find(id))?.leaseRemainingMs;
        if (fails) throw error;
        return { runs };
      }
    }
    shop = await boot('express', {
      controllers: [Ending],
      idempotency: { ...PATIENT, store: opened.store, ...options },
    });
    service = shop.app.get(IdempotencyService);
    service.events$.subscribe((event) => events.push(event));
  });

  afterAll(async () => {
    await shop?.close();
    await opened?.stop();
  });

  beforeEach(() => {
    events = [];
    fails = true;
    error = new Error('out of order');
    leaseMs = undefined;
  });

  let tables = 0;
  const send = (key: string): Promise<Reply> => shop.send('/ending', { key });
  const ref = (key: string) => ({ scope: 'POST /ending', key });

  it.each([...ends])('and then fails, is held, with the cause: %s', async (text) => {
    statement = text.replace('{n}', `${(tables += 1)}`);
    for (const settled of [true, false]) {
      const key = `${statement} ${settled}`;
      runs = 0;
      expect((await send(key)).status).toBe(500);
      expect((await send(key)).json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
      expect(runs).toBe(1);
      expect(events.find(({ type }) => type === 'held')).toMatchObject({
        reason: expect.stringMatching(/ended the transaction/) as string,
        cause: expect.anything() as unknown,
      });
      await (settled ? service.settle(ref(key), 'release') : service.forget(ref(key)));
      statement = '';
      fails = false;
      expect((await send(key)).status).toBe(201);
      statement = text.replace('{n}', `${(tables += 1)}`);
      fails = true;
    }
  });

  it('and then has an error for its result, does not run again', async () => {
    error = new NotFoundException('no such payment');
    runs = 0;
    statement = ends[0]!.replace('{n}', `${(tables += 1)}`);
    await send('not found');
    const retry = await send('not found');
    expect(retry.json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
    expect(runs).toBe(1);
    expect(events.filter(({ type }) => type === 'held')).toHaveLength(1);
  });

  it('and then succeeds, is on record', async () => {
    fails = false;
    runs = 0;
    statement = ends[0]!.replace('{n}', `${(tables += 1)}`);
    expect((await send('succeeds')).status).toBe(201);
    expect((await send('succeeds')).headers['idempotent-replayed']).toBe('true');
    expect(runs).toBe(1);
  });

  it('leaves a claim that ends within minutes if its process dies', async () => {
    fails = false;
    statement = ends[0]!.replace('{n}', `${(tables += 1)}`);
    await send('dies');
    expect(leaseMs).toBeGreaterThan(0);
    expect(leaseMs).toBeLessThan(LONGEST_LEASE_MS);
  });

  it('does not bound how long other handlers take: the lease is renewed at their end', async () => {
    const transaction = await opened.store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    const claim = claimOf({ leaseMs: 20 });
    expect((await transaction.acquire(claim)).outcome).toBe('acquired');
    await sleep(60);
    expect(await transaction.complete({ ...claim, reply: Buffer.from('late') })).toBe(true);
    await transaction.commit();
    expect((await opened.store.find(claim.id))?.state).toBe('completed');
  });
});
