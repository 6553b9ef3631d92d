import { createPool as createMysql2Pool } from 'mysql2/promise';
import { fromMysql2, fromPg, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { claimOf } from '../support/claims.js';
import { mariadbUrl, startMariadb } from '../support/servers/mariadb.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { sharedPostgres, type SharedServer } from '../support/servers/shared.js';

/** What an operator may have done to a server, and what the store makes of it. */
interface Limited {
  readonly name: string;
  /** `ROLE` is the role (the user) that the store connects as. */
  readonly does: readonly string[];
  /** Of the session, for PostgreSQL. */
  readonly options?: string;
  /** `served`, or what the boot is refused or warned with. */
  readonly boot: RegExp | 'served';
  /** Between boot and use, in milliseconds. */
  readonly waitsMs?: number;
}

/** Claims, refuses, replays, and keeps or undoes what is in a transaction. */
async function serves(store: SqlStore, other: SqlStore): Promise<void> {
  const claim = claimOf();
  const reply = Buffer.alloc(70_000, 7);
  expect(await store.acquire(claim)).toMatchObject({ outcome: 'acquired' });
  expect(await other.acquire({ ...claim, owner: 'other' })).toMatchObject({ outcome: 'in-flight' });
  expect(await store.saveStep({ ...claim, name: 'step', value: reply })).toBe(true);
  expect(await store.complete({ ...claim, reply })).toBe(true);
  expect(await other.acquire({ ...claim, owner: 'other' })).toMatchObject({
    outcome: 'completed',
    reply,
  });
  for (const end of ['rollback', 'commit'] as const) {
    const within = claimOf();
    const transaction = await store.beginTransaction({ source: undefined, lockWaitMs: 0 });
    expect(await transaction.acquire(within)).toMatchObject({ outcome: 'acquired' });
    expect(await transaction.complete({ ...within, reply })).toBe(true);
    await transaction[end]();
    expect((await other.find(within.id))?.state).toBe(end === 'commit' ? 'completed' : undefined);
  }
  expect(await store.purgeExpired(10)).toBe(0);
}

/** What the boot says; if it is not refused, the store has to serve. */
async function bootOf({ waitsMs = 0 }: Limited, store: SqlStore, other: SqlStore): Promise<string> {
  const warnings: string[] = [];
  try {
    await store.start((warning) => warnings.push(warning));
  } catch (error) {
    return (error as Error).message;
  }
  await sleep(waitsMs);
  await serves(store, other);
  return warnings.join('\n') || 'served';
}

const ALL = 'GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_records TO ROLE';
const FORBIDDEN = /Grant SELECT, INSERT, UPDATE and DELETE/;
const NO_TABLE = /sqlMigration\('postgres' \| 'mysql' \| 'sqlite'\)/;
const TABLE = 'ALTER TABLE idempotency_records';

const ON_POSTGRES: readonly Limited[] = [
  { name: 'every right', does: [ALL], boot: 'served' },
  { name: 'no right', does: [], boot: FORBIDDEN },
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => ({
    name: `no right to ${right}`,
    does: [ALL, `REVOKE ${right} ON idempotency_records FROM ROLE`],
    boot: FORBIDDEN,
  })),
  {
    name: 'a schema that may not be used',
    does: [ALL, 'REVOKE USAGE ON SCHEMA public FROM PUBLIC'],
    boot: NO_TABLE,
  },
  { name: 'no table', does: ['DROP TABLE idempotency_records'], boot: NO_TABLE },
  {
    name: 'the table of an earlier release',
    does: [ALL, `${TABLE} DROP COLUMN scope, DROP COLUMN label`],
    boot: /story: 'only'/,
  },
  { name: 'a column too few', does: [ALL, `${TABLE} DROP COLUMN steps`], boot: NO_TABLE },
  {
    name: 'ids that are texts',
    does: [ALL, `${TABLE} ALTER id TYPE text USING ''`],
    boot: NO_TABLE,
  },
  {
    name: 'ids that are not unique',
    does: [ALL, `${TABLE} DROP CONSTRAINT idempotency_records_pkey`],
    boot: NO_TABLE,
  },
  {
    name: 'read-only transactions',
    does: [ALL],
    options: '-c default_transaction_read_only=on',
    boot: FORBIDDEN,
  },
  {
    name: 'statements that have no time',
    does: [
      ALL,
      'ALTER ROLE ROLE SET statement_timeout = 1',
      `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN new; END'`,
      'CREATE TRIGGER slow BEFORE INSERT ON idempotency_records FOR EACH ROW EXECUTE FUNCTION slow()',
    ],
    boot: /Raise statement_timeout/,
  },
  {
    name: 'another search_path',
    does: [ALL],
    options: '-c search_path=pg_catalog',
    boot: NO_TABLE,
  },
  {
    name: 'a table that is not logged',
    does: [ALL, `${TABLE} SET UNLOGGED`],
    boot: /SET LOGGED/,
  },
  {
    name: 'a lock_timeout of the role',
    does: [ALL, 'ALTER ROLE ROLE SET lock_timeout = 100'],
    boot: 'served',
  },
  {
    name: 'SERIALIZABLE',
    does: [ALL],
    options: '-c default_transaction_isolation=serializable',
    boot: 'served',
  },
  {
    name: 'transactions that may not be idle',
    does: [ALL],
    options: '-c idle_in_transaction_session_timeout=50',
    boot: 'served',
    waitsMs: 100,
  },
  {
    name: 'a trigger that writes nothing',
    does: [
      ALL,
      `CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
      'CREATE TRIGGER nothing BEFORE INSERT ON idempotency_records FOR EACH ROW EXECUTE FUNCTION nothing()',
    ],
    boot: NO_TABLE,
  },
  { name: 'row security', does: [ALL, `${TABLE} ENABLE ROW LEVEL SECURITY`], boot: FORBIDDEN },
  {
    name: 'row security that hides rows',
    does: [
      ALL,
      `${TABLE} ENABLE ROW LEVEL SECURITY`,
      'CREATE POLICY blind ON idempotency_records FOR SELECT USING (false)',
      'CREATE POLICY writes ON idempotency_records FOR INSERT WITH CHECK (true)',
    ],
    boot: FORBIDDEN,
  },
  { name: 'few connections', does: [ALL, 'ALTER ROLE ROLE CONNECTION LIMIT 2'], boot: 'served' },
];

describe('a PostgreSQL with', () => {
  const role = `limited_${randomBytes(4).toString('hex')}`;
  let server: SharedServer;
  let owner: Pool;

  beforeEach(async () => {
    server = await sharedPostgres();
    owner = new Pool({ connectionString: server.url });
    await owner.query(`CREATE ROLE ${role} LOGIN`);
    for (const statement of sqlMigration('postgres').up) await owner.query(statement);
  });

  afterEach(async () => {
    await owner?.query(`DROP OWNED BY ${role}`);
    await owner?.query(`DROP ROLE ${role}`);
    await owner?.end();
    await server?.stop();
  });

  it.each([...ON_POSTGRES])('$name', async (limited) => {
    for (const statement of limited.does)
      await owner.query(
        statement
          .replaceAll('ROLE ROLE', `ROLE ${role}`)
          .replaceAll(/(TO|FROM) ROLE/g, `$1 ${role}`),
      );
    const url = new URL(server.url);
    url.username = role;
    const pools = [1, 2].map(
      () => new Pool({ connectionString: url.href, options: limited.options, max: 1 }),
    );
    try {
      const [store, other] = pools.map(
        (pool) => new SqlStore({ executor: fromPg(pool), purge: false }),
      );
      expect(await bootOf(limited, store!, other!)).toMatch(limited.boot);
    } finally {
      await Promise.all(pools.map((pool) => pool.end()));
    }
  });
});

const ON_MARIADB: readonly Limited[] = [
  { name: 'every right', does: [ALL], boot: 'served' },
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => ({
    name: `no right to ${right}`,
    does: [ALL, `REVOKE ${right} ON idempotency_records FROM ROLE`],
    boot: FORBIDDEN,
  })),
  {
    name: 'MyISAM',
    does: [ALL, `${TABLE} ROW_FORMAT = DEFAULT, ENGINE = MyISAM`],
    boot: /ENGINE = InnoDB/,
  },
  {
    name: 'connections without autocommit',
    does: [ALL, 'SET GLOBAL autocommit = 0'],
    boot: /autocommit/,
  },
  {
    name: 'init_connect without autocommit',
    does: [ALL, "SET GLOBAL init_connect = 'SET autocommit = 0'"],
    boot: /autocommit/,
  },
  { name: 'values that are cut off', does: [ALL, "SET GLOBAL sql_mode = ''"], boot: 'served' },
  {
    name: 'every strictness',
    does: [
      ALL,
      "SET GLOBAL sql_mode = 'TRADITIONAL,ANSI,NO_ZERO_DATE,NO_ZERO_IN_DATE,ONLY_FULL_GROUP_BY,NO_BACKSLASH_ESCAPES'",
    ],
    boot: 'served',
  },
  { name: 'read-only', does: [ALL, 'SET GLOBAL read_only = 1'], boot: FORBIDDEN },
  { name: 'read-only transactions', does: [ALL, 'SET GLOBAL tx_read_only = 1'], boot: FORBIDDEN },
  { name: 'SERIALIZABLE', does: [ALL, 'SET GLOBAL tx_isolation = "SERIALIZABLE"'], boot: 'served' },
  {
    name: 'READ UNCOMMITTED',
    does: [ALL, 'SET GLOBAL tx_isolation = "READ-UNCOMMITTED"'],
    boot: 'served',
  },
  {
    name: 'connections that end after a second',
    does: [ALL, 'SET GLOBAL wait_timeout = 1'],
    boot: 'served',
    waitsMs: 1_600,
  },
  {
    name: 'ids of any length',
    does: [ALL, `${TABLE} MODIFY id varbinary(255) NOT NULL`],
    boot: 'served',
  },
  {
    name: 'ids that are cut off',
    does: [ALL, "SET GLOBAL sql_mode = ''", `${TABLE} MODIFY id binary(8) NOT NULL`],
    boot: NO_TABLE,
  },
  {
    name: 'replies that are cut off',
    does: [ALL, "SET GLOBAL sql_mode = ''", `${TABLE} MODIFY reply blob`],
    boot: NO_TABLE,
  },
  { name: 'ids that are not unique', does: [ALL, `${TABLE} DROP PRIMARY KEY`], boot: NO_TABLE },
];

describe('a MariaDB with', () => {
  const user = `limited_${randomBytes(4).toString('hex')}`;
  const GLOBALS = [
    'autocommit',
    'init_connect',
    'sql_mode',
    'read_only',
    'tx_read_only',
    'tx_isolation',
    'wait_timeout',
  ];
  let server: PrivateServer;
  let owner: ReturnType<typeof createMysql2Pool>;
  let before: Record<string, unknown>;

  // Of its own, because settings are the whole server's.
  beforeAll(async () => {
    server = await startMariadb();
    owner = createMysql2Pool({ uri: mariadbUrl(server.port), connectionLimit: 1 });
    const [rows] = await owner.query(
      `SELECT ${GLOBALS.map((name) => `@@global.${name} AS ${name}`).join(', ')}`,
    );
    before = (rows as Record<string, unknown>[])[0]!;
  });

  afterAll(async () => {
    await owner?.end();
    await server?.stop();
  });

  beforeEach(async () => {
    await owner.query(`CREATE USER ${user}@'%'`);
    for (const statement of sqlMigration('mysql').up) await owner.query(statement);
  });

  afterEach(async () => {
    for (const name of GLOBALS) await owner.query(`SET GLOBAL ${name} = ?`, [before[name]]);
    for (const statement of sqlMigration('mysql').down) await owner.query(statement);
    await owner.query(`DROP USER ${user}@'%'`);
  });

  it.each([...ON_MARIADB])('$name', async (limited) => {
    for (const statement of limited.does)
      await owner.query(statement.replaceAll(/(TO|FROM) ROLE/g, `$1 ${user}@'%'`));
    const url = new URL(mariadbUrl(server.port));
    url.username = user;
    const pools = [1, 2].map(() => createMysql2Pool({ uri: url.href, connectionLimit: 1 }));
    try {
      const [store, other] = pools.map(
        (pool) => new SqlStore({ executor: fromMysql2(pool), purge: false }),
      );
      expect(await bootOf(limited, store!, other!)).toMatch(limited.boot);
    } finally {
      await Promise.all(pools.map((pool) => pool.end()));
    }
  });
});
