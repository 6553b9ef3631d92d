import { Redis } from 'ioredis';
import type { AcquireRequest, IdempotencyStore } from 'nestjs-idempotency/contracts';
import { fromPg, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { inspect } from 'node:util';
import { Pool } from 'pg';
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

describe('an error of PostgreSQL that refuses a row', () => {
  it('does not show the row', async () => {
    const server = await sharedPostgres();
    const pool = new Pool({ connectionString: server.url });
    const store = new SqlStore({ executor: fromPg(pool), purge: false });
    try {
      for (const statement of sqlMigration('postgres').up) await pool.query(statement);
      const refuse = (): unknown =>
        pool.query(`ALTER TABLE ${TABLE} ADD CONSTRAINT no_reply CHECK (reply IS NULL)`);
      await expectNoSecret(store, refuse, /no_reply/, [COMPLETE]);
    } finally {
      await pool.end();
      await server.stop();
    }
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
