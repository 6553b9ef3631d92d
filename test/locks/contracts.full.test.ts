import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { storeLocks } from '../../src/engine/store-locks.js';
import type { IdempotencyStore } from '../../src/engine/store.js';
import { FaultInjectingStore, hang, type LockHarness } from '../../src/testing/index.js';
import { sharedRedis } from '../support/servers/shared.js';
import { POSTGRES } from '../support/sql-databases.js';
import { itLocks } from './support/it-locks.js';
import { lockHarness } from './support/lock-servers.js';

const LEASE_MS = 2_000;
/** Sessions are looked through once in a tick. */
const SESSION_MS = 3_000;

/** Over two clients of one store. */
function overStores(one: IdempotencyStore, other: IdempotencyStore): LockHarness {
  return {
    locks: storeLocks({ store: one }),
    other: storeLocks({ store: other }),
    leaseMs: LEASE_MS,
    mortal: () => {
      const faulty = new FaultInjectingStore(one);
      const cutOff = (): void => {
        for (const verb of ['acquire', 'extend', 'release'] as const) faulty.always(verb, hang());
      };
      return Promise.resolve({ locks: storeLocks({ store: faulty }), cutOff });
    },
  };
}

describe('locks in Redis keep the contract', () => {
  let harness: LockHarness;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    const server = await sharedRedis();
    const clients = [new Redis(server.url), new Redis(server.url)] as const;
    ends.push(...clients.map((client) => () => client.disconnect()), () => server.stop());
    const [one, other] = clients.map((client) => new RedisStore({ client }));
    ends.unshift(
      () => one!.close(),
      () => other!.close(),
    );
    harness = overStores(one!, other!);
  }, 60_000);
  afterAll(async () => {
    for (const end of ends) await end();
  });

  itLocks(() => harness);
});

describe('locks in PostgreSQL keep the contract', () => {
  let harness: LockHarness;
  const ends: (() => unknown)[] = [];
  beforeAll(async () => {
    const database = await POSTGRES.start();
    ends.unshift(() => database.stop());
    const one = await database.connect();
    await one.runMigrations();
    const other = await database.connect();
    const stores = [one, other].map((dataSource) => new TypeOrmStore({ dataSource }));
    ends.unshift(
      ...stores.map((store) => () => store.close()),
      () => one.destroy(),
      () => other.destroy(),
    );
    harness = overStores(stores[0]!, stores[1]!);
  }, 60_000);
  afterAll(async () => {
    for (const end of ends) await end();
  });

  itLocks(() => harness);
});

describe('locks in ZooKeeper keep the contract', () => {
  let harness: Awaited<ReturnType<typeof lockHarness>>;
  beforeAll(async () => {
    harness = await lockHarness('ZooKeeper', SESSION_MS);
  }, 60_000);
  afterAll(() => harness?.stop());

  itLocks(() => harness);
});
