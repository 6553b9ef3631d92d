import { Body, Controller, NotFoundException, Post } from '@nestjs/common';
import {
  type IdempotencyEvent,
  Idempotent,
  IdempotencyService,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import type { TransactionalStore } from 'nestjs-idempotency/contracts';
import { fromKysely, fromMysql2, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { CompiledQuery, Kysely, PostgresDialect, type Transaction } from 'kysely';
import { createPool, type PoolConnection } from 'mysql2/promise';
import { Pool } from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { boot, PATIENT, type Reply, type TestApp } from '../support/http.js';
import { sharedMariadb, sharedPostgres } from '../support/servers/shared.js';

interface Opened {
  readonly store: TransactionalStore;
  /** A statement in the operation's transaction. */
  run(operation: IdempotentOperation, text: string): Promise<unknown>;
  /** A statement of somebody else. */
  query(text: string): Promise<readonly unknown[]>;
  /** Has the transaction of the operation undone before its handler has ended; rejects if the database says so. */
  undo(operation: IdempotentOperation, beside?: () => Promise<unknown>): Promise<unknown>;
  stop(): Promise<unknown>;
}

const TABLES = [
  'CREATE TABLE effects (id varchar(64) PRIMARY KEY)',
  'CREATE TABLE counters (id int PRIMARY KEY, n int)',
  `INSERT INTO counters VALUES ${Array.from({ length: 40 }, (_, i) => `(${i}, 0)`).join(', ')}`,
];

/** The server undoes the smaller of two transactions that wait for each other: that of the operation. */
async function overMariadb(
  open: (url: string) => Promise<Pick<Opened, 'store' | 'run' | 'stop'>>,
): Promise<Opened> {
  const server = await sharedMariadb();
  const others = createPool({ uri: server.url });
  for (const text of [...sqlMigration('mysql').up, ...TABLES]) await others.query(text);
  const opened = await open(server.url);
  const { run } = opened;
  return {
    store: opened.store,
    run,
    query: async (text) => (await others.query(text))[0] as unknown[],
    async undo(operation, beside) {
      await run(operation, 'UPDATE counters SET n = n + 1 WHERE id = 0');
      const other = await others.getConnection();
      await other.beginTransaction();
      await other.query('UPDATE counters SET n = n + 1 WHERE id > 0');
      const waiting = other.query('UPDATE counters SET n = n + 1 WHERE id = 0');
      try {
        const dead = run(operation, 'UPDATE counters SET n = n + 1 WHERE id = 1');
        await Promise.all([dead, beside?.()]);
      } finally {
        await waiting;
        await other.rollback();
        other.release();
      }
    },
    async stop() {
      await opened.stop();
      await others.end();
      await server.stop();
    },
  };
}

const mysql2 = (): Promise<Opened> =>
  overMariadb((uri) => {
    const pool = createPool({ uri, connectionLimit: 4 });
    return Promise.resolve({
      store: new SqlStore({ executor: fromMysql2(pool), purge: false }),
      run: ({ tx }, text) => (tx as unknown as PoolConnection).query(text),
      stop: () => pool.end(),
    });
  });

const typeorm = (): Promise<Opened> =>
  overMariadb(async (url) => {
    const dataSource = new DataSource({ type: 'mariadb', url });
    await dataSource.initialize();
    return {
      store: new TypeOrmStore({ dataSource, purge: false }),
      run: ({ manager }, text) => (manager as EntityManager).query(text),
      stop: () => dataSource.destroy(),
    };
  });

const kysely = async (): Promise<Opened> => {
  const server = await sharedPostgres();
  const pool = new Pool({ connectionString: server.url, max: 4 });
  for (const text of [...sqlMigration('postgres').up, ...TABLES]) await pool.query(text);
  const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }) });
  const run = ({ tx }: IdempotentOperation, text: string): Promise<unknown> =>
    (tx as unknown as Transaction<object>).executeQuery(CompiledQuery.raw(text));
  return {
    store: new SqlStore({ executor: fromKysely(db), purge: false }),
    run,
    query: async (text) => (await pool.query(text)).rows as unknown[],
    undo: (operation, beside) => Promise.all([run(operation, 'ROLLBACK'), beside?.()]),
    async stop() {
      await db.destroy();
      await server.stop();
    },
  };
};

type Way = 'success' | 'error' | 'result' | 'beside' | 'at once';

describe.each<[string, () => Promise<Opened>]>([
  ['a deadlock on mysql2', mysql2],
  ['a deadlock on TypeORM', typeorm],
  ['ROLLBACK by the handler, on Kysely', kysely],
])('a transaction that is undone before its handler has ended: %s', (name, open) => {
  let opened: Opened;
  let shop: TestApp;
  let runs: number;
  const events: IdempotencyEvent[] = [];

  beforeAll(async () => {
    opened = await open();
    @Controller()
    class Undone {
      @Post('undone')
      @Idempotent({ transaction: true })
      async undone(
        @Body() { way }: { way: Way },
        @Operation() operation: IdempotentOperation,
      ): Promise<object> {
        runs += 1;
        if (way === 'at once' && runs > 1) return { runs };
        const write = (): Promise<unknown> =>
          opened.run(operation, `INSERT INTO effects VALUES ('${way} ${runs}')`);
        if (way === 'beside') await opened.undo(operation, write);
        if (way === 'at once') await opened.undo(operation);
        await opened.undo(operation).catch(() => undefined);
        await write().catch(() => undefined);
        if (way === 'result') throw new NotFoundException();
        if (way !== 'success') throw new Error('out of order');
        return { runs };
      }
    }
    shop = await boot('express', {
      controllers: [Undone],
      idempotency: { ...PATIENT, store: opened.store },
    });
    shop.app.get(IdempotencyService).events$.subscribe((event) => events.push(event));
  });

  afterAll(async () => {
    await shop?.close();
    await opened?.stop();
  });

  beforeEach(() => {
    runs = 0;
    events.length = 0;
  });

  const send = (way: Way): Promise<Reply> => shop.send('/undone', { key: way, body: { way } });
  const effects = (way: Way): Promise<readonly unknown[]> =>
    opened.query(`SELECT id FROM effects WHERE id LIKE '${way} %'`);

  it.each<[string, Way]>([
    ['the handler returns', 'success'],
    ['it fails', 'error'],
    ['it has an error for its result', 'result'],
    ['it had sent another statement by then', 'beside'],
  ])('is held if more was written, because that is committed: %s', async (_how, way) => {
    await send(way);
    expect((await send(way)).json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
    expect([runs, await effects(way)]).toEqual([1, [{ id: `${way} 1` }]]);
    expect(events.filter(({ type }) => type === 'held')).toEqual([
      expect.objectContaining({
        reason: expect.stringMatching(
          /went on after the database had undone.*must throw/,
        ) as string,
        cause: expect.anything() as unknown,
      }),
    ]);
  });

  if (name.startsWith('a deadlock')) {
    it('is repeated if the handler has thrown the error at once', async () => {
      expect((await send('at once')).json()).toEqual({ runs: 2 });
      expect(events.map(({ type }) => type)).not.toContain('held');
    });
  }
});
