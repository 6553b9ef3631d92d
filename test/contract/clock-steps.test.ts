import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import {
  AddIdempotencyLimits1764500000000,
  CreateIdempotencyRecords1763700000000,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimOf, mustFind, win } from '../../src/testing/contract/support.js';
import { startRedis } from '../support/servers/redis.js';
import { MARIADB, POSTGRES, SQLITE } from '../support/sql-databases.js';

const LEASE_MS = 400;
const HOUR_MS = 3_600_000;

/** A store, and what becomes of a record in it when the server's clock is set back by an hour. */
interface Stepped {
  readonly store: IdempotencyStore;
  setBack(id: string): Promise<unknown>;
  stop(): Promise<void>;
}

const SHIFT = `
  local fields = { cmsgpack.unpack(redis.call('GET', KEYS[1])) }
  fields[6] = fields[6] + tonumber(ARGV[1])
  redis.call('SET', KEYS[1], cmsgpack.pack(unpack(fields)), 'KEEPTTL')`;

const REDIS = {
  name: 'Redis',
  async open(): Promise<Stepped> {
    const server = await startRedis();
    const client = new Redis(server.port);
    const store = new RedisStore({ client });
    return {
      store,
      setBack: (id) => client.eval(SHIFT, 1, `idempotency:${id}`, HOUR_MS),
      async stop() {
        store.close();
        client.disconnect();
        await server.stop();
      },
    };
  },
};

const DATABASES = [POSTGRES, MARIADB, SQLITE].map(({ name, start }) => ({
  name,
  async open(): Promise<Stepped> {
    const database = await start();
    const migrations = [CreateIdempotencyRecords1763700000000, AddIdempotencyLimits1764500000000];
    const dataSource = await database.connect({ migrations });
    await dataSource.runMigrations();
    const change = `UPDATE idempotency_records SET lease_ends_at = lease_ends_at + ${HOUR_MS}`;
    return {
      store: new TypeOrmStore({ dataSource }),
      // One record is all there is.
      setBack: () => dataSource.query(`${change} WHERE state = 'in-flight'`),
      stop: () => database.stop(),
    };
  },
}));

describe.each([REDIS, ...DATABASES])('a clock of $name that is set back by an hour', ({ open }) => {
  let stepped: Stepped;

  beforeAll(async () => {
    stepped = await open();
  });

  afterAll(() => stepped?.stop());

  async function setBack(): Promise<{ id: string; owner: string }> {
    const { request } = await win(stepped.store, { leaseMs: LEASE_MS });
    await stepped.setBack(request.id);
    return request;
  }

  it('shows no more of a lease than its own length', async () => {
    const { id, owner } = await setBack();
    expect((await mustFind(stepped.store, id)).leaseRemainingMs).toBeLessThanOrEqual(LEASE_MS);
    await stepped.store.release({ id, owner, ttlMs: LEASE_MS });
  });

  it('frees a claim that nobody renews a lease after somebody has asked for it', async () => {
    const { id } = await setBack();
    const refused = await stepped.store.acquire(claimOf({ id }));
    if (refused.outcome !== 'in-flight') throw new Error(refused.outcome);
    expect(refused.leaseRemainingMs).toBeLessThanOrEqual(LEASE_MS);
    await sleep(LEASE_MS + 50);
    const { request, result } = await win(stepped.store, { id });
    expect(result).toMatchObject({ attempt: 2, abandoned: true });
    await stepped.store.release(request);
  });

  it('leaves the claim to an owner who renews it', async () => {
    const { id, owner } = await setBack();
    const { store } = stepped;
    expect((await store.acquire(claimOf({ id }))).outcome).toBe('in-flight');
    expect(await store.extend({ id, owner, leaseMs: 10 * LEASE_MS, ttlMs: 1_000 })).toBe(true);
    await sleep(LEASE_MS + 50);
    expect((await store.acquire(claimOf({ id }))).outcome).toBe('in-flight');
    expect(await store.complete({ id, owner, reply: Buffer.from('x'), ttlMs: 1_000 })).toBe(true);
  });

  it('lets an operator forget the claim a lease later', async () => {
    const { id } = await setBack();
    expect(await stepped.store.forget(id)).toBe(false);
    await sleep(LEASE_MS + 50);
    expect(await stepped.store.forget(id)).toBe(true);
  });
});

describe.each(DATABASES)('limits in $name when the clock is set back', ({ open }) => {
  it('do not count a lease from before', async () => {
    const { store, setBack, stop } = await open();
    try {
      const counted = { bucket: 'a'.repeat(64), limits: { inFlight: 1, windowMs: 1_000 } };
      const { request } = await win(store, counted);
      expect((await store.acquire(claimOf(counted))).outcome).toBe('limited');
      await setBack(request.id);
      await win(store, counted);
    } finally {
      await stop();
    }
  });
});
