import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { statementsOf } from '../../src/stores/sql/dialect.js';
import { recordsOn } from '../../src/stores/sql/open-records.js';
import type { Answer, Statement, Values } from '../../src/stores/sql/session.js';
import { QueryRunnerSession } from '../../src/stores/typeorm/sessions.js';
import { claimOf, completedOn } from '../support/claims.js';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const TABLE = 'idempotency_records';
/** Which statement looks for expired records, and values for its placeholders. */
const PURGES = {
  postgres: { dialect: 'postgres', name: 'purgeExpired', limit: ['1', 10] },
  mariadb: { dialect: 'mysql', name: 'purgeCandidates', limit: [10] },
  sqljs: { dialect: 'sqlite', name: 'purgeExpired', limit: [10] },
} as const;

async function rows(dataSource: DataSource): Promise<number> {
  const [row] = await dataSource.query<[{ amount: string }]>(
    `SELECT count(*) AS amount FROM ${TABLE}`,
  );
  return Number(row.amount);
}

describe.each([POSTGRES, MARIADB, SQLITE])('the purge on $name', ({ start }) => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;

  beforeAll(async () => {
    database = await start();
    dataSource = await database.connect();
    await dataSource.runMigrations();
    store = new TypeOrmStore({ dataSource });
  });

  beforeEach(() => dataSource.query(`DELETE FROM ${TABLE}`));

  afterAll(() => database.stop());

  it('deletes what has expired, the oldest first, and nothing else', async () => {
    const kept = await completedOn(store);
    const ids: string[] = [];
    const place = dataSource.options.type === 'postgres' ? '$1' : '?';
    for (const expiredAt of [3, 1, 5, 2, 4]) {
      const { id } = await completedOn(store);
      ids[expiredAt] = id;
      const ends = `purge_at = ${expiredAt}, expires_at = ${expiredAt}`;
      const statement = `UPDATE ${TABLE} SET ${ends} WHERE id = ${place}`;
      await dataSource.query(statement, [Buffer.from(id, 'hex')]);
    }
    expect(await store.purgeExpired(2)).toBe(2);
    const left = await dataSource.query<{ id: Uint8Array }[]>(`SELECT id FROM ${TABLE}`);
    const leftIds = left.map(({ id }) => Buffer.from(id).toString('hex'));
    expect(leftIds.sort()).toEqual([kept.id, ...ids.slice(3)].sort());
    expect(await store.purgeExpired(10)).toBe(3);
    expect(await store.purgeExpired(10)).toBe(0);
    expect(await rows(dataSource)).toBe(1);
  });

  it('finds what has expired by the index', async () => {
    await Promise.all(Array.from({ length: 500 }, () => completedOn(store)));
    const { name, dialect, limit } = PURGES[dataSource.options.type as keyof typeof PURGES];
    const statement = statementsOf(dialect, { table: TABLE })[name as 'purgeExpired'];
    if (dialect === 'postgres') await dataSource.query(`ANALYZE ${TABLE}`);
    const explain = dialect === 'sqlite' ? 'EXPLAIN QUERY PLAN' : 'EXPLAIN';
    const plan = await dataSource.query<object[]>(`${explain} ${statement.text}`, limit);
    expect(JSON.stringify(plan)).toContain(`${TABLE}_purge_at`);
  });

  it('leaves a record alone that was claimed anew', async () => {
    const { id } = await completedOn(store, { ttlMs: 1 });
    await sleep(20);
    const anew = claimOf({ id });
    await store.acquire(anew);
    expect(await store.purgeExpired(10)).toBe(0);
    expect((await store.find(id))?.owner).toBe(anew.owner);
  });

  it('goes on by itself from start to close', async () => {
    const tidy = new TypeOrmStore({ dataSource, purge: { everyMs: 30, batch: 2 } });
    await tidy.start((warning) => expect(warning).toBe(''));
    for (let n = 0; n < 5; n += 1) await completedOn(store, { ttlMs: 1 });
    for (let tries = 0; tries < 100 && (await rows(dataSource)) > 0; tries += 1) await sleep(20);
    expect(await rows(dataSource)).toBe(0);
    await tidy.close();
    await completedOn(store, { ttlMs: 1 });
    await sleep(200);
    expect(await rows(dataSource)).toBe(1);
  });
});

it('the purge of a data source that fails keeps the others from nothing, and says so', async () => {
  const databases = [await SQLITE.start(), await SQLITE.start()];
  const [dataSource, elsewhere] = await Promise.all(databases.map((one) => one.connect()));
  await elsewhere!.runMigrations();
  const store = new TypeOrmStore({ dataSource: dataSource!, sources: { elsewhere: elsewhere! } });
  await expect(store.find('0'.repeat(64))).rejects.toThrow('no such table');
  await completedOn(await store.recordsOf('elsewhere'));
  await elsewhere!.query(`UPDATE ${TABLE} SET purge_at = 1, expires_at = 1`);
  await expect(store.purgeExpired(10)).rejects.toThrow('no such table');
  expect(await rows(elsewhere!)).toBe(0);
  for (const database of databases) await database.stop();
});

describe('the purge on several nodes', () => {
  it('is at work on one at a time', async () => {
    const database = await POSTGRES.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource });
    for (let n = 0; n < 2; n += 1) await completedOn(store, { ttlMs: 1 });
    await sleep(20);
    const runner = dataSource.createQueryRunner();
    const elsewhere = recordsOn(new QueryRunnerSession(runner), 'postgres', { table: TABLE });
    await runner.startTransaction();
    expect(await elsewhere.purgeExpired(1)).toBe(1);
    expect(await store.purgeExpired(10)).toBe(0);
    await runner.commitTransaction();
    await runner.release();
    expect(await store.purgeExpired(10)).toBe(1);
    await database.stop();
  });

  it('is at work on one at a time on MariaDB, too, and not held up by one that is gone', async () => {
    const database = await MARIADB.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource });
    for (let n = 0; n < 2; n += 1) await completedOn(store, { ttlMs: 1 });
    await sleep(20);
    const runner = dataSource.createQueryRunner();
    const session = new StandingSession(runner);
    const elsewhere = recordsOn(session, 'mysql', { table: TABLE });
    const deleted = elsewhere.purgeExpired(1);
    await session.hasCome;
    expect(await store.purgeExpired(10)).toBe(0);
    session.goOn();
    expect(await deleted).toBe(1);
    expect(await store.purgeExpired(1)).toBe(1);

    await completedOn(store, { ttlMs: 1 });
    await sleep(20);
    const killed = new StandingSession(runner);
    const unfinished = recordsOn(killed, 'mysql', { table: TABLE }).purgeExpired(1);
    await killed.hasCome;
    const [{ id }] = (await runner.query('SELECT connection_id() AS id')) as [{ id: string }];
    await dataSource.query(`KILL ${id}`);
    killed.goOn();
    await expect(unfinished).rejects.toThrow(/connection|interrupted/i);
    expect(await store.purgeExpired(10)).toBe(1);
    await database.stop();
  });
});

/** Stands still before it looks for what has expired. */
class StandingSession extends QueryRunnerSession {
  private arrive!: () => void;
  readonly hasCome = new Promise<void>((resolve) => (this.arrive = resolve));
  goOn!: () => void;
  private readonly mayGo = new Promise<void>((resolve) => (this.goOn = resolve));

  override async query(statement: Statement, values: Values): Promise<Answer> {
    if (statement.text.includes('ORDER BY purge_at')) {
      this.arrive();
      await this.mayGo;
    }
    return super.query(statement, values);
  }
}
