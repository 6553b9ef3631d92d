import { Controller, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { createPool } from 'mysql2/promise';
import {
  type AbandonedCall,
  Idempotent,
  IdempotencyService,
  recoveredReply,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { fromMysql2, fromPg, sqlMigration, SqlStore } from 'nestjs-idempotency/sql';
import { Pool } from 'pg';
import { recordId } from '../../src/keys/record-id.js';
import { boot, eventually, PATIENT, type TestApp } from '../support/http.js';
import { sharedMariadb, sharedPostgres, sharedRedis } from '../support/servers/shared.js';

interface Place {
  /** Two clients of one server, as two processes have. */
  readonly stores: readonly [IdempotencyStore, IdempotencyStore];
  close(): Promise<unknown>;
}

const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  PostgreSQL: async () => {
    const server = await sharedPostgres();
    const pool = new Pool({ connectionString: server.url });
    for (const statement of sqlMigration('postgres').up) await pool.query(statement);
    const open = () => new SqlStore({ executor: fromPg(pool) });
    const close = async () => {
      await pool.end();
      await server.stop();
    };
    return { stores: [open(), open()], close };
  },
  MariaDB: async () => {
    const server = await sharedMariadb();
    const pool = createPool({ uri: server.url.replace(/^mariadb:/, 'mysql:') });
    for (const statement of sqlMigration('mysql').up) await pool.query(statement);
    const open = () => new SqlStore({ executor: fromMysql2(pool) });
    const close = async () => {
      await pool.end();
      await server.stop();
    };
    return { stores: [open(), open()], close };
  },
  Redis: async () => {
    const server = await sharedRedis();
    const clients = [new Redis(server.url), new Redis(server.url)] as const;
    const close = async () => {
      for (const client of clients) client.disconnect();
      await server.stop();
    };
    const [one, other] = clients;
    return { stores: [new RedisStore({ client: one }), new RedisStore({ client: other })], close };
  },
};

const LEASE_MS = 300;
const TTL_MS = 600_000;
const asked: AbandonedCall[] = [];

@Controller()
class Payments {
  @Idempotent({
    lease: LEASE_MS,
    onAbandoned: (call) => {
      asked.push(call);
      return recoveredReply({ paid: call.label }, { status: 201 });
    },
  })
  @Post('payments')
  pay(): never {
    throw new Error('it must not run again');
  }

  @Idempotent({ lease: LEASE_MS, onAbandoned: 'hold' })
  @Post('refunds')
  refund(): never {
    throw new Error('it must not run again');
  }
}

describe.each(Object.entries(PLACES))('a sweep over %s', (_name, open) => {
  let place: Place;
  let apps: TestApp[];
  let services: IdempotencyService[];

  beforeAll(async () => {
    place = await open();
    apps = [];
    for (const store of place.stores)
      apps.push(
        await boot('express', { controllers: [Payments], idempotency: { ...PATIENT, store } }),
      );
    services = apps.map(({ app }) => app.get(IdempotencyService));
  });
  afterAll(async () => {
    for (const app of apps) await app.close();
    await place.close();
  });

  async function abandon(path: string, key: string): Promise<string> {
    const scope = `POST /${path}`;
    const id = recordId(scope, undefined, key);
    const claim = { id, owner: `dead ${key}`, fingerprint: '', leaseMs: LEASE_MS, ttlMs: TTL_MS };
    await place.stores[0].acquire({ ...claim, scope, label: key });
    return id;
  }

  it('of two processes asks once about each operation, and holds the others', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 25; i += 1) ids.push(await abandon('payments', `k${i}`));
    const refund = await abandon('refunds', 'r1');
    const [one, other] = services as [IdempotencyService, IdempotencyService];
    await eventually(async () => {
      await Promise.all([one.sweep({ batch: 10, pause: 0 }), other.sweep({ batch: 10, pause: 0 })]);
      const states = await Promise.all(ids.map((id) => one.find({ id })));
      return states.every((record) => record?.state === 'completed');
    });
    const labels = asked.splice(0).map(({ label }) => label);
    expect(labels).toHaveLength(ids.length);
    expect(new Set(labels)).toEqual(new Set(ids.map((_, i) => `k${i}`)));
    await eventually(async () => {
      await one.sweep();
      return (await other.find({ id: refund }))?.state === 'held';
    });
    const retry = await apps[1]!.send('/payments', { key: 'k7' });
    expect([retry.status, retry.json()]).toEqual([201, { paid: 'k7' }]);
    // The lock is no record that operators see.
    expect((await one.list({ state: 'in-flight' })).records).toEqual([]);
    expect((await one.list({ state: 'abandoned' })).records).toEqual([]);
  });
});

it('expired records of every source of a store are deleted, and no more than were asked for', async () => {
  const server = await sharedPostgres();
  const pools = ['one', 'other'].map(
    (schema) => new Pool({ connectionString: server.url, options: `-c search_path=${schema}` }),
  );
  const [one, other] = pools as [Pool, Pool];
  for (const [index, pool] of pools.entries()) {
    await one.query(`CREATE SCHEMA ${['one', 'other'][index]}`);
    for (const statement of sqlMigration('postgres').up) await pool.query(statement);
  }
  const open = (pool: Pool) => new SqlStore({ executor: fromPg(pool), purge: false });
  for (const store of [open(one), open(other)])
    for (let i = 0; i < 3; i += 1)
      await store.issue({ id: recordId('purge', undefined, `k${i}`), ttlMs: 1 });
  const sources = { other: fromPg(other) };
  const store = new SqlStore({ executor: fromPg(one), sources, purge: false });
  await eventually(async () => {
    const { rows } = await one.query(
      'SELECT 1 FROM one.idempotency_records WHERE expires_at > extract(epoch FROM clock_timestamp()) * 1000',
    );
    return rows.length === 0;
  });
  const deleted = [await store.purgeExpired(4), await store.purgeExpired(4)];
  expect(deleted).toEqual([4, 2]);
  for (const pool of pools) await pool.end();
  await server.stop();
});
