import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { isStoreFull } from '../../src/engine/store.js';
import { bytes, claimOf, LONG_MS, mustFind, win } from '../../src/testing/contract/support.js';
import { startRedis } from '../support/servers/redis.js';
import { MARIADB, SQLITE, type SqlDatabase } from '../support/sql-databases.js';

const TOMBSTONE = Buffer.from([1, 0]);

/** What a verb of a store failed with. */
async function failure(verb: PromiseLike<unknown> | unknown): Promise<unknown> {
  return Promise.resolve(verb).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('a Redis that has reached its maxmemory', () => {
  let stop: () => Promise<void>;
  let client: Redis;
  let store: RedisStore;

  beforeAll(async () => {
    const server = await startRedis();
    client = new Redis(server.port);
    store = new RedisStore({ client });
    stop = async () => {
      store.close();
      client.disconnect();
      await server.stop();
    };
  });

  afterEach(() => client.config('SET', 'maxmemory', '0'));
  afterAll(() => stop());

  const fill = (): Promise<unknown> => client.config('SET', 'maxmemory', '1');

  it('says so for new keys and for replies, and changes nothing', async () => {
    const { request } = await win(store);
    await fill();
    expect(isStoreFull(await failure(store.acquire(claimOf())))).toBe(true);
    const reply = bytes('x'.repeat(1_000));
    expect(isStoreFull(await failure(store.complete({ ...request, reply })))).toBe(true);
    expect((await mustFind(store, request.id)).state).toBe('in-flight');
  });

  it.each([
    ['a tombstone', { reply: TOMBSTONE }, 'completed'],
    ['a renewal', {}, 'in-flight'],
    ['a release', {}, 'released'],
    ['a hold', { reason: 'why' }, 'held'],
  ] as const)('takes what does not need more: %s', async (what, given, state) => {
    const { request, result } = await win(store, { leaseMs: 60_000 });
    await fill();
    const asked = { ...request, ...given, reply: TOMBSTONE, reason: 'why' };
    const verbs = {
      'a tombstone': () => store.complete(asked),
      'a renewal': () => store.extend({ ...request, leaseMs: 2 * LONG_MS }),
      'a release': () => store.release(request),
      'a hold': () => store.hold(asked),
    };
    expect(await verbs[what]()).toBe(true);
    const view = await mustFind(store, request.id);
    expect(view).toMatchObject({ state, fencingToken: result.fencingToken });
    // Nor has it become a record without an end.
    if (state !== 'held') expect(view.retentionRemainingMs).toBeGreaterThan(0);
    if (state === 'in-flight') expect(view.leaseRemainingMs).toBeGreaterThan(LONG_MS);
  });
});

describe('a database that has no room for a reply', () => {
  let database: SqlDatabase;

  afterEach(() => database.stop());

  async function refuse(store: IdempotencyStore, large: Uint8Array): Promise<void> {
    const { request } = await win(store);
    const error = await failure(store.complete({ ...request, reply: large }));
    expect({ error, isFull: isStoreFull(error) }).toMatchObject({ isFull: true });
    expect(await store.complete({ ...request, reply: TOMBSTONE })).toBe(true);
  }

  it('says so on MariaDB, for more than max_allowed_packet', async () => {
    database = await MARIADB.startOwn();
    const first = await database.connect();
    await first.runMigrations();
    await first.query('SET GLOBAL max_allowed_packet = 1048576');
    const dataSource: DataSource = await database.connect();
    await refuse(new TypeOrmStore({ dataSource }), Buffer.alloc(3_000_000, 1));
  });

  it('says so on SQLite, when the file may not grow', async () => {
    database = await SQLITE.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    await dataSource.query('PRAGMA max_page_count = 30');
    await refuse(new TypeOrmStore({ dataSource }), Buffer.alloc(1_000_000, 1));
  });
});
