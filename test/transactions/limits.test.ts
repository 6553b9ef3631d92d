import { Controller, Post } from '@nestjs/common';
import { type IdempotencyModuleOptions, Idempotent } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import {
  AddIdempotencyLimits1764500000000,
  CreateIdempotencyRecords1763700000000,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { boot, eventually, expectProblem, PATIENT, type TestApp } from '../support/http.js';
import {
  MARIADB,
  PGLITE,
  POSTGRES,
  type SqlDatabase,
  type SqlDatabaseKind,
  SQLITE,
} from '../support/sql-databases.js';

const MIGRATIONS = [CreateIdempotencyRecords1763700000000, AddIdempotencyLimits1764500000000];

let gate = new Gate();
let runs = 0;

@Controller()
class Payments {
  @Idempotent({ transaction: true })
  @Post('pay')
  async pay(): Promise<unknown> {
    runs += 1;
    await gate.pass();
    return { runs };
  }

  @Idempotent({ transaction: true })
  @Post('quick')
  quick(): unknown {
    return { run: (runs += 1) };
  }

  @Idempotent({ transaction: true })
  @Post('fail')
  fail(): never {
    throw new Error('not now');
  }
}

const ALICE = { headers: { authorization: 'Bearer alice' } };
const BOB = { headers: { authorization: 'Bearer bob' } };

describe.each([POSTGRES, MARIADB, SQLITE, PGLITE])(
  'limits of callers whose work is a transaction on $name',
  ({ start, hasManySessions, name }: SqlDatabaseKind) => {
    let database: SqlDatabase;
    let dataSource: DataSource;
    let shop: TestApp | undefined;

    beforeAll(async () => {
      database = await start();
      dataSource = await database.connect({ migrations: MIGRATIONS });
      await dataSource.runMigrations();
    });
    beforeEach(() => {
      runs = 0;
      gate = new Gate();
    });
    afterEach(async () => {
      gate.open();
      await shop?.close();
      shop = undefined;
      await dataSource.query('DELETE FROM idempotency_records');
    });
    afterAll(() => database.stop());

    async function open(limits: IdempotencyModuleOptions['limits']): Promise<TestApp> {
      const store = new TypeOrmStore({ dataSource, purge: false });
      shop = await boot('express', {
        controllers: [Payments],
        idempotency: { ...PATIENT, store, limits },
      });
      return shop;
    }

    const records = async (): Promise<number> => {
      const query = 'SELECT count(*) AS count FROM idempotency_records';
      const [row] = (await dataSource.query(query)) as [{ count: unknown }];
      return Number(row.count);
    };

    it('refuse more new keys in a minute, and leave nothing of what they refuse', async () => {
      const app = await open({ newKeysPerMinute: 2 });
      for (const key of ['a', 'b'])
        expect((await app.send('/quick', { key, ...ALICE })).status).toBe(201);
      const refused = await app.send('/quick', { key: 'c', ...ALICE });
      expectProblem(refused, 429, 'IDEMPOTENCY_LIMIT_EXCEEDED');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(30);
      expect(await records()).toBe(2);
      expect(runs).toBe(2);
      const replay = await app.send('/quick', { key: 'a', ...ALICE });
      expect(replay.headers['idempotent-replayed']).toBe('true');
      expect((await app.send('/quick', { key: 'bob', ...BOB })).status).toBe(201);
    });

    it('do not count what was undone', async () => {
      const app = await open({ newKeysPerMinute: 1, inFlight: 1 });
      for (const key of ['a', 'b'])
        expect((await app.send('/fail', { key, ...ALICE })).status).toBe(500);
      expect((await app.send('/quick', { key: 'c', ...ALICE })).status).toBe(201);
    });

    if (!hasManySessions) return;

    it('refuse a new key while as many operations run as may', async () => {
      const app = await open({ inFlight: 2 });
      const done = await app.send('/quick', { key: 'done', ...ALICE });
      const replies = ['a', 'b'].map((key) => app.send('/pay', { key, ...ALICE }));
      await eventually(() => Promise.resolve(runs === 3));
      const refused = await app.send('/quick', { key: 'c', ...ALICE });
      expectProblem(refused, 429, 'IDEMPOTENCY_LIMIT_EXCEEDED');
      expect(refused.json()).toMatchObject({ limit: 'inFlight' });
      expect((await app.send('/quick', { key: 'done', ...ALICE })).bytes).toEqual(done.bytes);
      const duplicate = await app.send('/pay', { key: 'a', ...ALICE });
      expectProblem(duplicate, 409, 'IDEMPOTENCY_KEY_IN_USE');
      expect((await app.send('/quick', { key: 'bob', ...BOB })).status).toBe(201);
      gate.open();
      for (const reply of await Promise.all(replies)) expect(reply.status).toBe(201);
      // Every one of many in a row finds both places free again.
      for (const key of ['c', 'd', 'e', 'f'])
        expect((await app.send('/quick', { key, ...ALICE })).status).toBe(201);
      expect(await records()).toBe(8);
      // So does another process, on connections of its own.
      const elsewhere = new TypeOrmStore({ dataSource: await database.connect(), purge: false });
      const other = await boot('express', {
        controllers: [Payments],
        idempotency: { ...PATIENT, store: elsewhere, limits: { inFlight: 2 } },
      });
      expect((await other.send('/quick', { key: 'g', ...ALICE })).status).toBe(201);
      await other.close();
    });

    it('do not count what a lost connection has left', async () => {
      const app = await open({ inFlight: 1 });
      const reply = app.send('/pay', { key: 'a', ...ALICE });
      await eventually(() => Promise.resolve(runs === 1));
      expect((await app.send('/quick', { key: 'b', ...ALICE })).status).toBe(429);
      const admin = await database.connect();
      await cutOthers(admin, name);
      await eventually(
        async () => (await app.send('/quick', { key: 'b', ...ALICE })).status === 201,
      );
      gate.open();
      expect((await reply).status).toBe(503);
    });
  },
);

/** As a network would that breaks. */
async function cutOthers(admin: DataSource, name: string): Promise<void> {
  if (name === 'PostgreSQL') {
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND state = 'idle in transaction'`,
    );
    return;
  }
  const rows = await admin.query<{ id: number }[]>(
    `SELECT thread.trx_mysql_thread_id AS id FROM information_schema.innodb_trx AS thread
     JOIN information_schema.processlist AS process ON process.id = thread.trx_mysql_thread_id
     WHERE process.db = database() AND process.id <> connection_id()`,
  );
  for (const { id } of rows) await admin.query(`KILL ${Number(id)}`);
}
