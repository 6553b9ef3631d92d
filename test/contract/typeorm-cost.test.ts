import type { AcquireRequest } from 'nestjs-idempotency/contracts';
import {
  AddIdempotencyLimits1764500000000,
  CreateIdempotencyRecords1763700000000,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { claimOf as anyClaim } from '../support/claims.js';
import {
  countByLogger,
  countOnMariadb,
  countOnPostgres,
  type StatementCount,
} from '../support/sql-counts.js';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const REPLY = Buffer.from('reply');

/** What each costs, in statements that the database sees. */
const COSTS = [
  {
    ...POSTGRES,
    counter: countOnPostgres,
    first: 2,
    replay: 1,
    takeover: 2,
  },
  // Its log is one for all databases.
  {
    ...MARIADB,
    start: MARIADB.startOwn,
    counter: countOnMariadb,
    first: 2,
    replay: 2,
    takeover: 3,
  },
  {
    ...SQLITE,
    counter: (dataSource: DataSource) => Promise.resolve(countByLogger(dataSource)),
    first: 2,
    replay: 1,
    takeover: 1,
  },
];

/** Callers are limited, and none of them has reached a limit. */
const COUNTED = {
  bucket: createHash('sha256').update('caller').digest('hex'),
  limits: { inFlight: 1_000, newKeys: 1_000, windowMs: 60_000 },
} as const;

const KINDS = COSTS.flatMap((kind) => [
  { ...kind, limited: 'without limits', counted: {} },
  { ...kind, limited: 'with limits, no more,', counted: COUNTED },
]);

describe.each(KINDS)('what TypeOrmStore asks of $name $limited', (kind) => {
  const { start, counter, counted, ...expected } = kind;
  const claimOf = (given: Partial<AcquireRequest> = {}): AcquireRequest =>
    anyClaim({ ...counted, ...given });
  let database: SqlDatabase;
  let dataSource: DataSource;
  let store: TypeOrmStore;
  let count: StatementCount;

  beforeAll(async () => {
    database = await start();
    const migrations = [CreateIdempotencyRecords1763700000000, AddIdempotencyLimits1764500000000];
    dataSource = await database.connect({ migrations });
    await dataSource.runMigrations();
    store = new TypeOrmStore({ dataSource });
    count = await counter(dataSource);
  });

  afterAll(() => database.stop());

  async function cost(act: () => Promise<unknown>): Promise<number> {
    const before = await count();
    await act();
    return (await count()) - before;
  }

  async function completed(): Promise<AcquireRequest> {
    const claim = claimOf();
    await store.acquire(claim);
    await store.complete({ ...claim, reply: REPLY });
    return claim;
  }

  it(`is ${expected.first} statements for a first call`, async () => {
    expect(await cost(completed)).toBe(expected.first);
  });

  it(`is ${expected.replay} for a replay`, async () => {
    const { id } = await completed();
    expect(await cost(() => store.acquire(claimOf({ id })))).toBe(expected.replay);
  });

  it(`is ${expected.replay} for a duplicate that is refused`, async () => {
    const claim = claimOf();
    await store.acquire(claim);
    expect(await cost(() => store.acquire(claimOf({ id: claim.id })))).toBe(expected.replay);
    const other = claimOf({ id: claim.id, fingerprint: 'other' });
    expect(await cost(() => store.acquire(other))).toBe(expected.replay);
  });

  it(`is ${expected.takeover} for a takeover`, async () => {
    const claim = claimOf({ leaseMs: 20 });
    await store.acquire(claim);
    await sleep(40);
    expect(await cost(() => store.acquire(claimOf({ id: claim.id })))).toBe(expected.takeover);
  });

  it('is 1 for a renewal, a step, a release and a hold', async () => {
    const claim = claimOf();
    await store.acquire(claim);
    expect(await cost(() => store.extend(claim))).toBe(1);
    expect(await cost(() => store.saveStep({ ...claim, name: 'step', value: REPLY }))).toBe(1);
    expect(await cost(() => store.release(claim))).toBe(1);
    const stopped = claimOf();
    await store.acquire(stopped);
    expect(await cost(() => store.hold({ ...stopped, reason: 'reason' }))).toBe(1);
  });

  it('is 1 for issuing, finding and forgetting', async () => {
    const { id } = claimOf();
    expect(await cost(() => store.issue({ id, ttlMs: 600_000 }))).toBe(1);
    expect(await cost(() => store.find(id))).toBe(1);
    expect(await cost(() => store.forget(id))).toBe(1);
  });
});

describe('a duplicate that is refused', () => {
  /** One in flight and one completed, and claims that both refuse. */
  async function refusals(store: TypeOrmStore): Promise<() => Promise<string[]>> {
    const inFlight = anyClaim();
    const done = anyClaim();
    await store.acquire(inFlight);
    await store.acquire(done);
    await store.complete({ ...done, reply: Buffer.alloc(50_000, 'reply') });
    const claims = [
      anyClaim({ id: inFlight.id }),
      anyClaim({ id: done.id }),
      anyClaim({ id: done.id, fingerprint: 'other' }),
      done,
    ];
    return async () => {
      const results = claims.map(async (claim) => (await store.acquire(claim)).outcome);
      return Promise.all(results);
    };
  }
  const OUTCOMES = ['in-flight', 'completed', 'mismatch', 'completed'];

  it('locks and writes no row of PostgreSQL', async () => {
    const database = await POSTGRES.startOwn();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const refused = await refusals(new TypeOrmStore({ dataSource }));
    const versions = (): Promise<unknown> =>
      dataSource.query('SELECT id, ctid, xmin, xmax FROM idempotency_records ORDER BY id');
    const lastTransaction = (): Promise<unknown> =>
      dataSource.query('SELECT pg_snapshot_xmax(pg_current_snapshot()) AS xid');
    const before = [await versions(), await lastTransaction()];
    expect(await refused()).toEqual(OUTCOMES);
    expect([await versions(), await lastTransaction()]).toEqual(before);
    await database.stop();
  });

  it('writes no page of SQLite', async () => {
    const database = await SQLITE.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const refused = await refusals(new TypeOrmStore({ dataSource }));
    const pages = (): Buffer =>
      Buffer.from((dataSource.driver as unknown as { export(): Uint8Array }).export());
    const before = pages();
    expect(await refused()).toEqual(OUTCOMES);
    expect(pages().equals(before)).toBe(true);
    await database.stop();
  });

  it('writes no row of MariaDB', async () => {
    const database = await MARIADB.startOwn();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const refused = await refusals(new TypeOrmStore({ dataSource }));
    const written = (): Promise<unknown> =>
      dataSource.query(
        "SHOW GLOBAL STATUS WHERE variable_name IN ('Innodb_rows_inserted', 'Innodb_rows_updated', 'Handler_update')",
      );
    const before = await written();
    expect(await refused()).toEqual(OUTCOMES);
    expect(await written()).toEqual(before);
    await database.stop();
  });
});

describe('statements prepared by name', () => {
  it.each([
    { preparedStatements: true, names: 2 },
    { preparedStatements: false, names: 0 },
  ])('are $names after a first call with $preparedStatements', async ({ names, ...options }) => {
    const database = await POSTGRES.start();
    const dataSource = await database.connect({ poolSize: 1 });
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource, ...options });
    for (let round = 0; round < 10; round += 1) {
      const claim = anyClaim();
      await store.acquire(claim);
      await store.complete({ ...claim, reply: REPLY });
    }
    const prepared = await dataSource.query<{ generic_plans: string }[]>(
      "SELECT name, generic_plans FROM pg_prepared_statements WHERE name LIKE 'idempotency_%'",
    );
    expect(prepared).toHaveLength(names);
    // Planned five times with the values at hand, and then once for all.
    for (const { generic_plans } of prepared) expect(Number(generic_plans)).toBeGreaterThan(3);
    await database.stop();
  });
});
