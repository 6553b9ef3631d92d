import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { recordsOn } from '../../src/stores/sql/open-records.js';
import { dialectOf } from '../../src/stores/typeorm/dialect.js';
import { QueryRunnerSession } from '../../src/stores/typeorm/sessions.js';
import { claimOf, completedOn } from '../support/claims.js';
import { eventually } from '../support/http.js';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const REPLY = Buffer.from('reply');
const TABLE = 'idempotency_records';

describe('on PostgreSQL', () => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;

  beforeAll(async () => {
    database = await POSTGRES.start();
    dataSource = await database.connect();
    await dataSource.runMigrations();
    store = new TypeOrmStore({ dataSource });
  });

  afterAll(() => database.stop());

  it.each(['repeatable read', 'serializable'])(
    'gives a key to one of 32 at once where transactions are %s',
    async (level) => {
      const strict = await database.connect({
        extra: { options: `-c default_transaction_isolation=${level.replace(' ', '\\ ')}` },
      });
      const [{ now }] = await strict.query<[{ now: string }]>(
        `SELECT current_setting('transaction_isolation') AS now`,
      );
      expect(now).toBe(level);
      const careful = new TypeOrmStore({ dataSource: strict });
      for (const old of [claimOf(), await completedOn(store, { ttlMs: 1 })]) {
        await sleep(10);
        const claims = Array.from({ length: 32 }, () => careful.acquire(claimOf({ id: old.id })));
        const outcomes = (await Promise.all(claims)).map(({ outcome }) => outcome);
        expect(outcomes.filter((outcome) => outcome === 'acquired')).toHaveLength(1);
        expect(new Set(outcomes)).toEqual(new Set(['acquired', 'in-flight']));
      }
    },
  );

  it('keeps most records in their place when they are completed', async () => {
    // Old versions make room once no statement can see them, so few are under way at a time.
    for (let begun = 0; begun < 200; begun += 4)
      await Promise.all(Array.from({ length: 4 }, () => completedOn(store)));
    let seen = { updates: 0, inPlace: 0 };
    // Each connection tells what it has done when it has been idle for some time.
    await eventually(async () => {
      const [row] = await dataSource.query<[{ updates: string; in_place: string }]>(
        `SELECT n_tup_upd AS updates, n_tup_hot_upd AS in_place
         FROM pg_stat_user_tables WHERE relname = '${TABLE}'`,
      );
      seen = { updates: Number(row.updates), inPlace: Number(row.in_place) };
      return seen.updates >= 200;
    }, 60_000);
    expect(seen.inPlace).toBeGreaterThan(0.8 * seen.updates);
  });
});

describe('on MariaDB', () => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;

  beforeAll(async () => {
    database = await MARIADB.startOwn();
    dataSource = await database.connect();
    await dataSource.runMigrations();
    await dataSource.query('SET GLOBAL innodb_lock_wait_timeout = 1');
    store = new TypeOrmStore({ dataSource: await database.connect() });
  });

  afterAll(() => database.stop());

  /** In a transaction of the application's, which goes on until `act` has ended. */
  async function locking(act: (lock: (id: string) => Promise<unknown>) => Promise<void>) {
    const runner = dataSource.createQueryRunner();
    await runner.query('CREATE TABLE IF NOT EXISTS business (id integer)');
    await runner.startTransaction();
    // The database ends the one of two transactions that has done less.
    await runner.query('INSERT INTO business SELECT seq FROM seq_1_to_500');
    await act((id) =>
      runner.query(`SELECT id FROM ${TABLE} WHERE id = ? FOR UPDATE`, [Buffer.from(id, 'hex')]),
    );
    await runner.commitTransaction();
    await runner.release();
  }

  async function untilSomeoneWaits(): Promise<void> {
    for (;;) {
      const waiting = await dataSource.query<object[]>(
        "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
      );
      if (waiting.length > 0) return;
      // InnoDB tells anew only to those who have not asked for a tenth of a second.
      await sleep(150);
    }
  }

  it('claims anew what is gone when it looks at it', async () => {
    const { id } = await completedOn(store);
    const between = await database.connect();
    const createQueryRunner = between.createQueryRunner.bind(between);
    let isGone = false;
    between.createQueryRunner = (mode) => {
      const runner = createQueryRunner(mode);
      const query = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
      runner.query = async (statement: string, ...rest: unknown[]) => {
        const answer = await query(statement, ...rest);
        if (statement.startsWith('INSERT') && !isGone) {
          isGone = true;
          await dataSource.query(`DELETE FROM ${TABLE} WHERE id = ?`, [Buffer.from(id, 'hex')]);
        }
        return answer as never;
      };
      return runner;
    };
    const claim = await new TypeOrmStore({ dataSource: between }).acquire(claimOf({ id }));
    expect([claim.outcome, isGone]).toEqual(['acquired', true]);
    // It is on record, and not only said to be.
    expect((await store.acquire(claimOf({ id }))).outcome).toBe('in-flight');
  });

  it('repeats what was ended to end a deadlock', async () => {
    const one = await completedOn(store, { ttlMs: 1 });
    const two = await completedOn(store, { ttlMs: 1 });
    const [first, second] = [one.id, two.id].sort() as [string, string];
    await sleep(20);
    let purged: Promise<number> | undefined;
    await locking(async (lock) => {
      await lock(second);
      purged = store.purgeExpired(10);
      await untilSomeoneWaits();
      await lock(first);
    });
    expect(await purged).toBe(2);
    const [{ deadlocks }] = await dataSource.query<[{ deadlocks: string }]>(
      `SELECT variable_value AS deadlocks FROM information_schema.global_status
       WHERE variable_name = 'Innodb_deadlocks'`,
    );
    expect(Number(deadlocks)).toBe(1);
  });

  it('repeats what has waited too long for a lock', async () => {
    const { id } = await completedOn(store);
    let outcome: Promise<string> | undefined;
    await locking(async (lock) => {
      await lock(id);
      outcome = store.acquire(claimOf({ id })).then((result) => result.outcome);
      await sleep(1_300);
    });
    expect(await outcome).toBe('completed');
  });

  it('keeps the steps it has when another one would be more than the server takes', async () => {
    await dataSource.query('SET GLOBAL max_allowed_packet = 1048576');
    const small = new TypeOrmStore({ dataSource: await database.connect() });
    const claim = claimOf();
    await small.acquire(claim);
    const value = Buffer.alloc(400_000);
    expect(await small.saveStep({ ...claim, name: 'one', value })).toBe(true);
    expect(await small.saveStep({ ...claim, name: 'two', value })).toBe(true);
    await expect(small.saveStep({ ...claim, name: 'three', value })).rejects.toThrow(
      /max_allowed_packet/,
    );
    expect([...((await small.find(claim.id))?.steps.keys() ?? [])]).toEqual(['one', 'two']);
  });
});

describe('on SQLite', () => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;

  beforeAll(async () => {
    database = await SQLITE.start();
    dataSource = await database.connect();
    await dataSource.runMigrations();
    store = new TypeOrmStore({ dataSource });
  });

  afterAll(() => database.stop());

  it("does not become part of the application's transaction on the only connection", async () => {
    const claim = claimOf();
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    const acquired = store.acquire(claim);
    await sleep(20);
    await runner.rollbackTransaction();
    expect((await acquired).outcome).toBe('acquired');
    expect((await store.find(claim.id))?.owner).toBe(claim.owner);
  });

  it('fails rather than wait for a transaction that waits for it', async () => {
    const inside = dataSource.transaction(() => store.acquire(claimOf()));
    await expect(inside).rejects.toThrow(/kept the only SQLite connection/);
    expect((await store.acquire(claimOf())).outcome).toBe('acquired');
  });
});

describe.each([POSTGRES, MARIADB, SQLITE])('verbs in a transaction on $name', ({ start }) => {
  it('are undone with it', async () => {
    const database = await start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource });
    const runner = dataSource.createQueryRunner();
    const session = new QueryRunnerSession(runner);
    const inside = recordsOn(session, dialectOf(dataSource.options.type), { table: TABLE });
    const [kept, undone] = [claimOf(), claimOf()];
    for (const claim of [kept, undone]) {
      await runner.startTransaction();
      expect((await inside.acquire(claim)).outcome).toBe('acquired');
      expect(await inside.complete({ ...claim, reply: REPLY })).toBe(true);
      await (claim === kept ? runner.commitTransaction() : runner.rollbackTransaction());
    }
    await runner.release();
    expect((await store.acquire(claimOf({ id: kept.id }))).outcome).toBe('completed');
    expect(await store.find(undone.id)).toBeUndefined();
    await database.stop();
  });
});
