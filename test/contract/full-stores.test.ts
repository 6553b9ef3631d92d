import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { isStoreFull } from '../../src/engine/store.js';
import { bytes, claimOf, LONG_MS, mustFind, win } from '../../src/testing/contract/support.js';
import { startRedis } from '../support/servers/redis.js';
import { MARIADB, SQLITE, type SqlDatabase } from '../support/sql-databases.js';

const TOMBSTONE = Buffer.from([1, 0]);

/** What a verb of a store failed with. */
async function failure(verb: Promise<unknown>): Promise<unknown> {
  return verb.then(
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
    // Nor has it become a record without an end, but for one that is held.
    expect((view.ttlRemainingMs ?? 0) > 0).toBe(state !== 'held');
    expect((view.leaseRemainingMs ?? 0) > LONG_MS).toBe(state === 'in-flight');
  });
});

describe('a database that has no room for a reply', () => {
  let database: SqlDatabase;

  afterEach(() => database.stop());

  /** Whether it has no room for this reply, but for a tombstone. */
  async function hasNoRoom(store: TypeOrmStore, reply: Uint8Array): Promise<boolean> {
    const { request } = await win(store);
    const error = await failure(store.complete({ ...request, reply }));
    return isStoreFull(error) && (await store.complete({ ...request, reply: TOMBSTONE }));
  }

  it('says so on MariaDB, for more than max_allowed_packet', async () => {
    database = await MARIADB.startOwn();
    const first = await database.connect();
    await first.runMigrations();
    await first.query('SET GLOBAL max_allowed_packet = 1048576');
    const dataSource: DataSource = await database.connect();
    const store = new TypeOrmStore({ dataSource });
    expect(await hasNoRoom(store, Buffer.alloc(3_000_000, 1))).toBe(true);
  });

  it('says so on SQLite, when the file may not grow', async () => {
    database = await SQLITE.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    await dataSource.query('PRAGMA max_page_count = 30');
    const store = new TypeOrmStore({ dataSource });
    expect(await hasNoRoom(store, Buffer.alloc(1_000_000, 1))).toBe(true);
  });
});
