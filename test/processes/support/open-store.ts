import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { SqlStore } from 'nestjs-idempotency/sql';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource, type DataSourceOptions, type EntityManager } from 'typeorm';
import type { Layer } from '../../sql/support/layer.js';
import { mariadbUrl } from '../../support/servers/mariadb.js';
import { postgresUrl } from '../../support/servers/postgres.js';

export type ServerName = 'Redis' | 'PostgreSQL' | 'MariaDB';

/** Data layers of `SqlStore`, on PostgreSQL. */
export type LayerName = 'fromPg()' | 'fromDrizzle()';

/** Loaded by whoever opens one. */
const LAYERS: Record<LayerName, () => Promise<Layer>> = {
  'fromPg()': async () => (await import('../../sql/support/drivers.js')).PG,
  'fromDrizzle()': async () => (await import('../../sql/support/drizzle.js')).DRIZZLE_PG,
};

/** A store on a client of its own, as a process would have it, and a business on the same server. */
export interface OpenStore {
  readonly store: IdempotencyStore;
  /** Something happens that can be counted: in the transaction of this manager, if there is one. */
  act(name: string, manager?: EntityManager): Promise<unknown>;
  /** How often it has happened. */
  effects(name: string): Promise<number>;
  /** The replies on record, one after the other. */
  replies(): Promise<string>;
  close(): Promise<void>;
}

/** Where a server is: the port of one that a test has for itself, or a URL. */
export type Place = number | string;

/** A place that was handed to another process as text. */
export const placeFrom = (text: string): Place => (/^\d+$/.test(text) ? Number(text) : text);

/** @param poolSize connections to a database at most */
export function openStore(
  server: ServerName | LayerName,
  place: Place,
  poolSize?: number,
): Promise<OpenStore> {
  switch (server) {
    case 'Redis':
      return openRedis(place);
    case 'PostgreSQL':
    case 'MariaDB':
      return openSql(sqlOptions(server, place, poolSize));
    case 'fromPg()':
    case 'fromDrizzle()':
      return openLayer(server, place, poolSize);
  }
}

export function sqlOptions(
  server: 'PostgreSQL' | 'MariaDB',
  place: Place,
  poolSize = 10,
): DataSourceOptions {
  const urlOf = server === 'PostgreSQL' ? postgresUrl : mariadbUrl;
  const url = typeof place === 'string' ? place : urlOf(place);
  return { type: server === 'PostgreSQL' ? 'postgres' : 'mariadb', url, poolSize };
}

async function openRedis(place: Place): Promise<OpenStore> {
  const url = typeof place === 'string' ? place : `redis://127.0.0.1:${place}`;
  const client = new Redis(url, { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  await client.ping();
  return {
    store: new RedisStore({ client }),
    act: (name) => client.incr(`effects:${name}`),
    effects: async (name) => Number(await client.get(`effects:${name}`)),
    replies: async () => {
      const keys = await client.keys('idempotency:*');
      return (await Promise.all(keys.map((key) => client.get(key)))).join('\n');
    },
    close: () => Promise.resolve(client.disconnect()),
  };
}

async function openLayer(name: LayerName, place: Place, poolSize = 10): Promise<OpenStore> {
  const url = typeof place === 'string' ? place : postgresUrl(place);
  const { executor, insert, query, close } = await (await LAYERS[name]()).open(url, poolSize);
  return {
    store: new SqlStore({ executor, purge: false }),
    act: (id, tx) =>
      tx === undefined
        ? executor.transaction((connection) => insert(connection.tx, 'effects', id))
        : insert(tx, 'effects', id),
    effects: async (id) => {
      const [row] = await query(`SELECT count(*) AS times FROM effects WHERE name = '${id}'`);
      return Number(row!.times);
    },
    replies: async () => {
      const rows = await query("SELECT reply FROM idempotency_records WHERE state = 'completed'");
      return rows.map(({ reply }) => (reply as Buffer).toString('latin1')).join('\n');
    },
    close: async () => void (await close()),
  };
}

async function openSql(options: DataSourceOptions): Promise<OpenStore> {
  const dataSource = await new DataSource(options).initialize();
  const { manager: own } = dataSource;
  return {
    store: new TypeOrmStore({ dataSource, purge: false }),
    act: (name, manager = own) => manager.query(`INSERT INTO effects (name) VALUES ('${name}')`),
    effects: async (name) => {
      const [row] = await own.query<[{ times: string }]>(
        `SELECT count(*) AS times FROM effects WHERE name = '${name}'`,
      );
      return Number(row.times);
    },
    replies: async () => {
      const rows = await own.query<{ reply: Buffer }[]>(
        "SELECT reply FROM idempotency_records WHERE state = 'completed'",
      );
      return rows.map(({ reply }) => reply.toString('latin1')).join('\n');
    },
    close: () => dataSource.destroy(),
  };
}
