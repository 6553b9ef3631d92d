import { drizzle } from 'drizzle-orm/postgres-js';
import { Redis } from 'ioredis';
import type { AcquireRequest, IdempotencyStore } from 'nestjs-idempotency/contracts';
import {
  fromDrizzle,
  fromPg,
  type SqlExecutor,
  sqlMigration,
  SqlStore,
} from 'nestjs-idempotency/sql';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { inspect } from 'node:util';
import { Pool } from 'pg';
import postgres from 'postgres';
import { messageOf, withoutContent } from '../../src/engine/driver-errors.js';
import { APP_CLIENTS } from '../redis/support/clients.js';
import { claimOf } from '../support/claims.js';
import { startRedis } from '../support/servers/redis.js';
import { sharedPostgres } from '../support/servers/shared.js';
import { MARIADB, POSTGRES, SQLITE } from '../support/sql-databases.js';

const TABLE = 'idempotency_records';
const SECRET = 'nobody-may-read-this';
/** How an error would show it: as text, as bytes, in hexadecimal, in base64. */
const FORMS = [
  SECRET,
  Buffer.from(SECRET).toString('hex'),
  inspect(Buffer.from(SECRET)).slice('<Buffer '.length, -1),
  Buffer.from(SECRET).toString('base64').slice(0, 20),
];

type Verb = (store: IdempotencyStore, request: AcquireRequest) => unknown;

const COMPLETE: Verb = (store, request) =>
  store.complete({ ...request, reply: Buffer.from(SECRET) });
const VERBS: readonly Verb[] = [
  COMPLETE,
  (store, request) => store.saveStep({ ...request, name: SECRET, value: Buffer.from(SECRET) }),
  (store, request) => store.hold({ ...request, reason: SECRET }),
];

/** Expects that a claim which is broken in this way fails, and that its errors tell only why. */
async function expectNoSecret(
  store: IdempotencyStore,
  spoil: (request: AcquireRequest) => unknown,
  reason: RegExp,
  verbs = VERBS,
): Promise<void> {
  const request = claimOf();
  await store.acquire(request);
  await spoil(request);
  for (const verb of verbs) {
    const error = await Promise.resolve(verb(store, request)).then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(Error);
    const told = inspect(error, { depth: Infinity, showHidden: true, maxStringLength: Infinity });
    expect(FORMS.filter((form) => told.includes(form))).toEqual([]);
    expect(told).toMatch(reason);
  }
}

describe.each([POSTGRES, MARIADB, SQLITE])('an error of $name', ({ start }) => {
  it('tells why something was not written, and nothing of what it was', async () => {
    const database = await start();
    try {
      const dataSource = await database.connect({
        migrations: [CreateIdempotencyRecords1763700000000],
      });
      await dataSource.runMigrations();
      for (const preparedStatements of [true, false]) {
        const store = new TypeOrmStore({ dataSource, preparedStatements, purge: false });
        const rename = (): unknown => dataSource.query(`ALTER TABLE ${TABLE} RENAME TO elsewhere`);
        await expectNoSecret(store, rename, new RegExp(TABLE));
        await dataSource.query(`ALTER TABLE elsewhere RENAME TO ${TABLE}`);
      }
    } finally {
      await database.stop();
    }
  });
});

interface Opened {
  readonly executor: SqlExecutor;
  close(): Promise<void>;
}

/** postgres.js locks what it hangs on an error; with `debug`, loggers see it too. */
const overPostgresJs = (url: string): Opened => {
  const db = drizzle(postgres(url, { debug: true, onnotice: () => undefined }));
  return { executor: fromDrizzle(db), close: () => db.$client.end() };
};

const overPg = (connectionString: string): Opened => {
  const pool = new Pool({ connectionString });
  return { executor: fromPg(pool), close: () => pool.end() };
};

describe.each([
  ['pg', overPg],
  ['postgres.js', overPostgresJs],
])('an error of PostgreSQL that refuses a row, over %s', (_, open) => {
  it('does not show the row', async () => {
    const server = await sharedPostgres();
    const { executor, close } = open(server.url);
    const store = new SqlStore({ executor, purge: false });
    const admin = new Pool({ connectionString: server.url });
    try {
      for (const statement of sqlMigration('postgres').up) await admin.query(statement);
      const refuse = (): unknown =>
        admin.query(`ALTER TABLE ${TABLE} ADD CONSTRAINT no_reply CHECK (reply IS NULL)`);
      await expectNoSecret(store, refuse, /no_reply/, [COMPLETE]);
    } finally {
      await admin.end();
      await close();
      await server.stop();
    }
  });
});

describe('an error that cannot be changed', () => {
  it('is copied without its content, also within others', () => {
    const frozen = Object.freeze(
      Object.assign(new TypeError('refused'), { code: '23514', detail: SECRET }),
    );
    const outer = new AggregateError([frozen], 'failed', { cause: frozen });
    const error = withoutContent(outer);
    expect(error).toBe(outer);
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(SECRET);
    expect(error.cause).toBe(error.errors[0]);
    expect(error.cause).toBeInstanceOf(TypeError);
    expect(error.cause).toMatchObject({ message: 'refused', code: '23514', stack: frozen.stack });
  });
});

describe.each(APP_CLIENTS)('an error of Redis through $name', ({ open }) => {
  it('tells why something was not written, and nothing of what it was', async () => {
    const server = await startRedis();
    const client = open(server.port);
    const admin = new Redis(server.port);
    try {
      const spoil = async ({ id }: AcquireRequest): Promise<void> => {
        await admin.del(`idempotency:${id}`);
        await admin.lpush(`idempotency:${id}`, 'no record');
      };
      await expectNoSecret(client.store, spoil, /WRONGTYPE/);
    } finally {
      admin.disconnect();
      await client.close();
      await server.stop();
    }
  });
});

test.each<[string, unknown, string]>([
  ['the error', new Error('no route'), 'no route'],
  [
    'each address, where the error itself has none',
    new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]),
    'refused ::1; refused 127.0.0.1',
  ],
  ['an error that says nothing', new TypeError(), 'TypeError'],
  ['anything else that was thrown', 7, '7'],
])('the reason of a failure is in words: %s', (_what, error, words) => {
  expect(messageOf(error)).toBe(words);
});
