import {
  Body,
  type CallHandler,
  ConflictException,
  Controller,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  Post,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import {
  Idempotent,
  IdempotencyService,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import type { TransactionalStore } from 'nestjs-idempotency/contracts';
import {
  fromMysql2,
  fromPg,
  outsideTransaction,
  sqlMigration,
  SqlStore,
} from 'nestjs-idempotency/sql';
import { Gate } from 'nestjs-idempotency/testing';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { createPool, type PoolConnection } from 'mysql2/promise';
import { Pool, type PoolClient } from 'pg';
import { concatMap, type Observable } from 'rxjs';
import { DataSource, type EntityManager } from 'typeorm';
import { boot, PATIENT, type Platform, type Reply, type TestApp } from '../support/http.js';
import { sharedMariadb, sharedPostgres, type SharedServer } from '../support/servers/shared.js';

const SERIALIZABLE = '-c default_transaction_isolation=serializable';

interface Opened {
  readonly store: TransactionalStore;
  run(operation: IdempotentOperation, text: string): Promise<unknown>;
  close(): Promise<unknown>;
}

async function overPg({ url }: SharedServer): Promise<Opened> {
  const pool = new Pool({ connectionString: url, options: SERIALIZABLE, max: 4 });
  return Promise.resolve({
    store: new SqlStore({ executor: fromPg(pool), purge: false }),
    run: ({ tx }, text) => (tx as unknown as PoolClient).query(text),
    close: () => pool.end(),
  });
}

async function overTypeOrm({ url }: SharedServer): Promise<Opened> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    extra: { options: SERIALIZABLE, max: 4 },
  });
  await dataSource.initialize();
  return {
    store: new TypeOrmStore({ dataSource, purge: false }),
    run: ({ manager }, text) => (manager as EntityManager).query(text),
    close: () => dataSource.destroy(),
  };
}

interface Work {
  /** How many of the runs are disturbed, and when. */
  readonly times: number;
  readonly when?: 'within' | 'after' | 'late';
  readonly reaches?: 'a step' | 'a key' | 'outside';
  readonly own?: boolean;
}

describe.each<[string, (server: SharedServer) => Promise<Opened>, Platform]>([
  ['fromPg(), express', overPg, 'express'],
  ['TypeORM, fastify', overTypeOrm, 'fastify'],
])('work that others were in the way of, with %s', (_name, open, platform) => {
  let server: SharedServer;
  let others: Pool;
  let opened: Opened;
  let shop: TestApp;
  let runs = 0;
  let disturb: () => Promise<unknown>;

  beforeAll(async () => {
    server = await sharedPostgres();
    others = new Pool({ connectionString: server.url, options: SERIALIZABLE });
    for (const statement of [
      ...sqlMigration('postgres').up,
      'CREATE TABLE counters (id int PRIMARY KEY, n int)',
      'INSERT INTO counters VALUES (1, 0), (2, 0)',
    ])
      await others.query(statement);
    opened = await open(server);
    const { run } = opened;
    /** Reads what the work writes, and writes what the work reads. */
    const skew = async (): Promise<void> => {
      disturb = quiet;
      const other = await others.connect();
      try {
        await other.query('BEGIN');
        await other.query('SELECT sum(n) FROM counters');
        await other.query('UPDATE counters SET n = n + 1 WHERE id = 2');
        await other.query('COMMIT');
      } finally {
        other.release();
      }
    };

    /** Around every handler: what it does comes after the handler's own checks. */
    @Injectable()
    class Late implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle().pipe(concatMap((value) => disturb().then(() => value)));
      }
    }

    const work = async (
      op: IdempotentOperation,
      { times, when = 'within', reaches, own }: Work,
    ): Promise<object> => {
      runs += 1;
      const isDisturbed = runs <= times;
      if (reaches === 'a step') await op.step('charge', () => 'charged');
      if (reaches === 'a key') op.deriveKey('charge');
      if (reaches === 'outside') await outsideTransaction(() => Promise.resolve());
      await run(op, 'SELECT sum(n) FROM counters');
      if (isDisturbed && when === 'within')
        await others.query('UPDATE counters SET n = n + 1 WHERE id = 1');
      await run(op, 'UPDATE counters SET n = n + 1 WHERE id = 1').catch((cause: unknown) => {
        throw own === true ? new ConflictException('taken', { cause }) : cause;
      });
      if (isDisturbed && when === 'after') await skew();
      if (isDisturbed && when === 'late') disturb = skew;
      return { runs, attempt: op.attempt };
    };

    @Controller()
    class Counters {
      @Post('count')
      @Idempotent({ transaction: true, secondConnection: 'allow' })
      count(@Body() body: Work, @Operation() op: IdempotentOperation): Promise<object> {
        return work(op, body);
      }

      @Post('once')
      @Idempotent({ transaction: true, conflictRetries: 0 })
      once(@Body() body: Work, @Operation() op: IdempotentOperation): Promise<object> {
        return work(op, body);
      }

      @Post('hold')
      @Idempotent({ transaction: true, onError: 'hold' })
      hold(@Body() body: Work, @Operation() op: IdempotentOperation): Promise<object> {
        return work(op, body);
      }

      @Post('limited')
      @Idempotent({ transaction: true, maxAttempts: 2 })
      limited(@Body() body: Work, @Operation() op: IdempotentOperation): Promise<object> {
        return work(op, body);
      }
    }
    shop = await boot(platform, {
      controllers: [Counters],
      providers: [{ provide: APP_INTERCEPTOR, useClass: Late }],
      idempotency: { ...PATIENT, store: opened.store },
    });
  });

  afterAll(async () => {
    await shop?.close();
    await opened?.close();
    await others?.end();
    await server?.stop();
  });

  const quiet = (): Promise<void> => Promise.resolve();

  beforeEach(() => {
    runs = 0;
    disturb = quiet;
  });

  const send = (path: string, key: string, body: Work): Promise<Reply> =>
    shop.send(path, { key, body });
  const counted = async (): Promise<number> => {
    const { rows } = await others.query<{ n: number }>('SELECT n FROM counters WHERE id = 1');
    return rows[0]!.n;
  };
  const UNDONE = {
    code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    retryable: true,
    detail: expect.stringMatching(/was run, but the database has undone it/) as string,
  };

  it.each(['within', 'after'] as const)('runs again within the same call: %s', async (when) => {
    const before = await counted();
    const first = await send('/count', when, { times: 2, when });
    expect([first.status, first.json()]).toEqual([201, { runs: 3, attempt: 1 }]);
    expect(await counted()).toBe(before + (when === 'within' ? 3 : 1));
    const again = await send('/count', when, { times: 2, when });
    expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect(runs).toBe(3);
  });

  it('is refused in the end, as undone and not as never run', async () => {
    const reply = await send('/count', 'busy', { times: 9 });
    expect([reply.status, reply.json()]).toEqual([503, expect.objectContaining(UNDONE)]);
    expect([runs, reply.headers['retry-after']]).toEqual([4, '1']);
    runs = 9;
    expect((await send('/count', 'busy', { times: 9 })).status).toBe(201);
  });

  it('is refused if its commit fails after its reply was made, and a retry runs', async () => {
    const reply = await send('/count', 'late', { times: 1, when: 'late' });
    expect([reply.status, reply.json()]).toEqual([503, expect.objectContaining(UNDONE)]);
    expect((await send('/count', 'late', { times: 1, when: 'late' })).status).toBe(201);
    expect(runs).toBe(2);
  });

  it.each<[string, string, Work, number]>([
    ['it has run a step', '/count', { times: 1, reaches: 'a step' }, 503],
    ['it has derived a key', '/count', { times: 1, reaches: 'a key' }, 503],
    ['it was told not to', '/once', { times: 1 }, 503],
    ['its failures are held', '/hold', { times: 1 }, 500],
    ['it has an answer of its own', '/count', { times: 1, own: true }, 409],
  ])('does not run again if %s', async (why, path, work, status) => {
    expect((await send(path, why, work)).status).toBe(status);
    expect(runs).toBe(1);
  });

  it('counts as attempts, where those are limited', async () => {
    const reply = await send('/limited', 'limited', { times: 9 });
    expect(reply.status).toBeGreaterThanOrEqual(500);
    expect(runs).toBe(2);
    expect((await send('/limited', 'limited', { times: 9 })).json()).toMatchObject({
      code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
    });
  });
});

test('does not run again if it has left its transaction on purpose', async () => {
  const server = await sharedPostgres();
  const pool = new Pool({ connectionString: server.url, max: 4 });
  for (const statement of sqlMigration('postgres').up) await pool.query(statement);
  const store = new SqlStore({ executor: fromPg(pool), purge: false });
  for (const [leaves, isReachedOut] of [
    [() => outsideTransaction(() => undefined), true],
    [() => pool.query('SELECT 1'), true],
    [() => undefined, false],
  ] as const) {
    const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    await transaction.run(leaves);
    expect(transaction.hasReachedOut).toBe(isReachedOut);
    await transaction.rollback();
  }
  await pool.end();
  await server.stop();
});

test('code that deadlocks with other code runs again, on MariaDB too', async () => {
  const server = await sharedMariadb();
  const pool = createPool({ uri: server.url, connectionLimit: 6 });
  for (const statement of [
    ...sqlMigration('mysql').up,
    'CREATE TABLE counters (id int PRIMARY KEY, n int)',
    'INSERT INTO counters VALUES (1, 0), (2, 0)',
  ])
    await pool.query(statement);
  const store = new SqlStore({ executor: fromMysql2(pool), purge: false });
  const shop = await boot('express', { controllers: [], idempotency: { ...PATIENT, store } });
  const service = shop.app.get(IdempotencyService);
  const gate = new Gate();
  let runs = 0;
  const count = (key: string, order: readonly number[]): Promise<number> =>
    service.run({ scope: 'count', key, transaction: true }, async (op) => {
      runs += 1;
      const tx = op.tx as unknown as PoolConnection;
      await tx.query('UPDATE counters SET n = n + 1 WHERE id = ?', [order[0]]);
      await gate.pass();
      await tx.query('UPDATE counters SET n = n + 1 WHERE id = ?', [order[1]]);
      return runs;
    });
  const both = Promise.all([count('a', [1, 2]), count('b', [2, 1])]);
  await gate.reached(2);
  gate.open();
  await both;
  const [rows] = await pool.query('SELECT n FROM counters');
  expect(rows).toEqual([{ n: 2 }, { n: 2 }]);
  expect(runs).toBe(3);
  await shop.close();
  await pool.end();
  await server.stop();
});

test('code whose commit others were in the way of runs again', async () => {
  const server = await sharedPostgres();
  const pool = new Pool({ connectionString: server.url, max: 4 });
  for (const statement of sqlMigration('postgres').up) await pool.query(statement);
  const executor = fromPg(pool);
  let failures = 0;
  const failing: typeof executor = {
    ...executor,
    transaction: (work) =>
      executor.transaction(async (connection) => {
        const result = await work(connection);
        if ((failures -= 1) >= 0) throw Object.assign(new Error('undone'), { code: '40001' });
        return result;
      }),
  };
  const store = new SqlStore({ executor: failing, purge: false });
  const shop = await boot('express', { controllers: [], idempotency: { ...PATIENT, store } });
  const service = shop.app.get(IdempotencyService);
  let runs = 0;
  const run = (key: string): Promise<number> =>
    service.run({ scope: 'count', key, transaction: true }, () => (runs += 1));
  failures = 2;
  expect([await run('a'), await run('a')]).toEqual([3, 3]);
  failures = 99;
  await expect(run('b')).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' });
  expect(runs).toBe(7);
  await shop.close();
  await pool.end();
  await server.stop();
});
