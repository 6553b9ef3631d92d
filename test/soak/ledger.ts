import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { type ServerName, sqlOptions } from '../processes/support/open-store.js';
import type { Effect } from './history.js';

/** What handlers do, kept on the server that the records are on. */
export interface Ledger {
  readonly store: IdempotencyStore;
  /** The effect of a run. Asked for again it changes nothing, so that a lost answer does not matter. */
  write(effect: Effect, manager?: EntityManager): Promise<unknown>;
  all(): Promise<Effect[]>;
  close(): Promise<unknown>;
}

const PREFIX = 'effect:';

export function openLedger(server: ServerName, port: number): Promise<Ledger> {
  return server === 'Redis' ? openRedis(port) : openSql(server, port);
}

async function openRedis(port: number): Promise<Ledger> {
  const client = new Redis(port, { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  await client.ping();
  return {
    store: new RedisStore({ client }),
    write: (effect) => client.set(PREFIX + nameOf(effect), ''),
    all: async () =>
      (await client.keys(`${PREFIX}*`)).map((key) => effectOf(key.slice(PREFIX.length))),
    close: () => Promise.resolve(client.disconnect()),
  };
}

async function openSql(server: Exclude<ServerName, 'Redis'>, port: number): Promise<Ledger> {
  const dataSource = await new DataSource(sqlOptions(server, port)).initialize();
  const [insert, unlessThere] =
    server === 'PostgreSQL' ? ['INSERT', 'ON CONFLICT DO NOTHING'] : ['INSERT IGNORE', ''];
  return {
    store: new TypeOrmStore({ dataSource }),
    write: (effect, manager = dataSource.manager) =>
      manager.query(`${insert} INTO ledger (name) VALUES ('${nameOf(effect)}') ${unlessThere}`),
    all: async () => {
      const rows = await dataSource.query<{ name: string }[]>('SELECT name FROM ledger');
      return rows.map(({ name }) => effectOf(name));
    },
    close: () => dataSource.destroy(),
  };
}

function nameOf({ principal, key, attempt, fencingToken, runId }: Effect): string {
  return [principal, key, attempt, fencingToken, runId].join(' ');
}

function effectOf(name: string): Effect {
  const [principal = '', key = '', attempt, fencingToken, runId = ''] = name.split(' ');
  return {
    principal,
    key,
    attempt: Number(attempt),
    fencingToken: Number(fencingToken),
    runId,
  };
}
