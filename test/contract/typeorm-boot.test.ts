import {
  AddIdempotencyLimits1764500000000,
  AddIdempotencyStory1764700000000,
  CreateIdempotencyRecords1763700000000,
  IdempotencyRecord,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { claimOf } from '../support/claims.js';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const warn = (warning: string): void => {
  throw new Error(`unexpected warning: ${warning}`);
};

describe.each([POSTGRES, MARIADB, SQLITE])('TypeOrmStore at boot on $name', ({ start }) => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;

  beforeAll(async () => {
    database = await start();
    dataSource = await database.connect();
    store = new TypeOrmStore({ dataSource, purge: false });
  });

  afterAll(() => database.stop());

  it('refuses a database without the table, and says how to make it', async () => {
    const started = store.start(warn);
    await expect(started).rejects.toThrow(
      /^Idempotency option "table of TypeOrmStore" is "idempotency_records"\. Accepted: /,
    );
    await expect(started).rejects.toThrow(
      /The database says: .*idempotency_records.* Add CreateIdempotencyRecords1763700000000 to /,
    );
  });

  it('starts once the migration has run, which can be undone and run again', async () => {
    await dataSource.runMigrations();
    await store.start(warn);
    expect((await store.acquire(claimOf())).outcome).toBe('acquired');
    await dataSource.undoLastMigration();
    await expect(store.start(warn)).rejects.toThrow('The database says');
    await dataSource.runMigrations();
    await store.start(warn);
    expect((await store.acquire(claimOf())).outcome).toBe('acquired');
  });

  it('refuses a table with another shape', async () => {
    await dataSource.query('CREATE TABLE old_records (id integer)');
    const old = new TypeOrmStore({ dataSource, table: 'old_records' });
    await expect(old.start(warn)).rejects.toThrow(/is "old_records".*The database says: .*column/);
  });

  it('finds that TypeORM has nothing to synchronize', async () => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries).toEqual([]);
  });

  it('shows the rows through the entity', async () => {
    const claim = claimOf({ owner: 'owner 👩‍👧', fingerprint: 'é', scope: 'charge' });
    await store.acquire(claim);
    await store.hold({ ...claim, reason: 'the bank did not answer' });
    const rows = dataSource.getRepository(IdempotencyRecord);
    expect(await rows.countBy({ state: 'held' })).toBe(1);
    const row = await rows.findOneByOrFail({ id: claim.id });
    expect(row).toMatchObject({
      id: claim.id,
      state: 'held',
      owner: 'owner 👩‍👧',
      attempt: 1,
      abandoned: false,
      fingerprint: 'é',
      leaseEndsAt: 0,
      expiresAt: null,
      reply: null,
      reason: 'the bank did not answer',
      scope: 'charge',
      label: null,
      settledAt: null,
    });
    expect(row.purgeAt).toBe(10 ** 15 + row.heldAt!);
    expect(row.fencingToken).toBe((await store.find(claim.id))?.fencingToken);
  });

  it('asks for the columns that a table of an earlier release lacks, and lists what it holds', async () => {
    const names = { table: 'older_records' };
    const runner = dataSource.createQueryRunner();
    await new CreateIdempotencyRecords1763700000000(names).up(runner);
    const older = new TypeOrmStore({ dataSource, ...names, purge: false });
    const claim = claimOf();
    await older.acquire(claim);
    await older.hold({ ...claim, reason: 'reason' });
    const story = new AddIdempotencyStory1764700000000(names);
    await story.down(runner);
    await expect(older.start(warn)).rejects.toThrow(/from AddIdempotencyStory1764700000000/);
    await story.up(runner);
    // The second time there is nothing to do.
    await story.up(runner);
    await runner.release();
    await older.start(warn);
    const { records } = await older.list({ state: 'held', limit: 10 });
    expect(records).toMatchObject([{ id: claim.id, reason: 'reason', story: {} }]);
    await dataSource.query('DROP TABLE older_records');
  });

  it('keeps tables of other names apart', async () => {
    const names = { table: 'payment_records' };
    const runner = dataSource.createQueryRunner();
    await new CreateIdempotencyRecords1763700000000(names).up(runner);
    await runner.release();
    const payments = new TypeOrmStore({ dataSource, ...names, purge: false });
    await payments.start(warn);
    const claim = claimOf();
    expect((await payments.acquire(claim)).outcome).toBe('acquired');
    expect(await store.find(claim.id)).toBeUndefined();
    expect((await store.acquire(claim)).outcome).toBe('acquired');
  });

  it('takes a function that gives the data source, and asks it again after it failed', async () => {
    let isThere = false;
    const late = new TypeOrmStore({
      dataSource: () =>
        isThere ? Promise.resolve(dataSource) : Promise.reject(new Error('not yet')),
    });
    await expect(late.acquire(claimOf())).rejects.toThrow('not yet');
    isThere = true;
    expect((await late.acquire(claimOf())).outcome).toBe('acquired');
  });
});

describe('TypeOrmStore at boot', () => {
  it('finds a table in another schema of PostgreSQL', async () => {
    const database = await POSTGRES.start();
    const dataSource = await database.connect();
    await dataSource.query('CREATE SCHEMA payments');
    const runner = dataSource.createQueryRunner();
    await new CreateIdempotencyRecords1763700000000({ schema: 'payments' }).up(runner);
    await runner.release();
    const store = new TypeOrmStore({ dataSource, schema: 'payments', purge: false });
    await store.start(warn);
    const claim = claimOf();
    expect((await store.acquire(claim)).outcome).toBe('acquired');
    const byOption = await database.connect({ schema: 'payments' });
    expect(await new TypeOrmStore({ dataSource: byOption }).extend(claim)).toBe(true);
    await database.stop();
  });

  it('only warns when the database cannot be reached', async () => {
    const database = await POSTGRES.startOwn();
    const dataSource = await database.connect();
    const store = new TypeOrmStore({ dataSource, purge: false });
    await database.kill();
    // Its connections end a moment later.
    while (await dataSource.query('SELECT 1').then(Boolean, () => false)) await sleep(20);
    const warnings: string[] = [];
    await store.start((warning) => warnings.push(warning));
    expect(warnings).toEqual([expect.stringContaining('could not be checked')]);
    await expect(store.acquire(claimOf())).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await database.stop();
  });

  it('refuses a data source that is not initialized', async () => {
    const store = new TypeOrmStore({ dataSource: new DataSource({ type: 'sqljs' }) });
    await expect(store.start(warn)).rejects.toThrow('Await `dataSource.initialize()` first.');
  });

  it('refuses a database that it does not speak', async () => {
    const dataSource = await new DataSource({ type: 'sqljs' }).initialize();
    Object.assign(dataSource.options, { type: 'oracle' });
    const store = new TypeOrmStore({ dataSource });
    await expect(store.start(warn)).rejects.toThrow('is "oracle". Accepted: a data source of type');
  });

  it.each([undefined, null, {}, 'postgres://localhost', () => undefined])(
    'refuses %p for a data source',
    async (given) => {
      const make = async (): Promise<void> =>
        new TypeOrmStore({ dataSource: given as unknown as DataSource }).start(warn);
      await expect(make()).rejects.toThrow('Accepted: a TypeORM DataSource');
    },
  );

  it.each([
    { everyMs: 0 },
    { everyMs: 2 ** 31 },
    { everyMs: Number.NaN },
    { batch: 0 },
    { batch: 1.5 },
    { batch: '10' as unknown as number },
  ])('refuses %p for the purge', (purge) => {
    const dataSource = new DataSource({ type: 'sqljs' });
    expect(() => new TypeOrmStore({ dataSource, purge })).toThrow('a whole number from 1 to');
  });

  it.each(['', 'a-b', 'a"b', '1a', 'a'.repeat(55), 'a;DROP TABLE b'])(
    'refuses %p for a table or a schema',
    (name) => {
      const dataSource = new DataSource({ type: 'sqljs' });
      expect(() => new TypeOrmStore({ dataSource, table: name })).toThrow('"table of TypeOrm');
      expect(() => new TypeOrmStore({ dataSource, schema: name })).toThrow('"schema of TypeOrm');
      expect(() => new CreateIdempotencyRecords1763700000000({ table: name })).toThrow('"table');
    },
  );
});

describe.each([POSTGRES, MARIADB, SQLITE])('limits at boot on $name', (kind) => {
  const { start, hasManySessions } = kind;
  const MIGRATIONS = [CreateIdempotencyRecords1763700000000, AddIdempotencyLimits1764500000000];
  const COUNTED = { bucket: 'a'.repeat(64), limits: { inFlight: 1, windowMs: 1_000 } };
  let database: SqlDatabase;

  beforeAll(async () => {
    database = await start();
  });

  afterAll(() => database.stop());

  it('need the columns of their migration, which can be undone and run again', async () => {
    const dataSource = await database.connect({ migrations: MIGRATIONS });
    await new CreateIdempotencyRecords1763700000000().up(dataSource.createQueryRunner());
    const store = new TypeOrmStore({ dataSource, purge: false });
    await store.start(warn);
    // Without limits, nothing has changed.
    expect((await store.acquire(claimOf())).outcome).toBe('acquired');
    const prepared = store.prepareLimits(warn);
    await expect(prepared).rejects.toThrow(/^Idempotency option "limits, with the table/);
    await expect(prepared).rejects.toThrow(/The database says: .* Add AddIdempotencyLimits1764500/);
    const limits = new AddIdempotencyLimits1764500000000();
    const runner = dataSource.createQueryRunner();
    for (let round = 0; round < 2; round += 1) {
      await limits.up(runner);
      await store.prepareLimits(warn);
      expect((await store.acquire(claimOf())).outcome).toBe('acquired');
      expect((await store.acquire(claimOf(COUNTED))).outcome).toBe('acquired');
      expect((await store.acquire(claimOf(COUNTED))).outcome).toBe('limited');
      await limits.down(runner);
      await expect(store.prepareLimits(warn)).rejects.toThrow('The database says');
      expect((await store.acquire(claimOf())).outcome).toBe('acquired');
    }
    await limits.up(runner);
    await runner.release();
  });

  if (!hasManySessions) return;

  it('need them in every other data source, and in a table of another name', async () => {
    const other = (await database.connect()).createQueryRunner();
    await new CreateIdempotencyRecords1763700000000({ table: 'other_records' }).up(other);
    const [dataSource, elsewhere] = [await database.connect(), await database.connect()];
    const table = 'other_records';
    const store = new TypeOrmStore({ dataSource, table, sources: { elsewhere }, purge: false });
    await expect(store.prepareLimits(warn)).rejects.toThrow('"other_records"');
    await new AddIdempotencyLimits1764500000000({ table }).up(other);
    await store.prepareLimits(warn);
    await other.release();
  });
});
