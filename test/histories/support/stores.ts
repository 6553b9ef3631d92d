import { Redis } from 'ioredis';
import { MemoryStore } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import type { Random } from '../../support/random.js';
import { postgresUrl, startPostgres } from '../../support/servers/postgres.js';
import { startRedis } from '../../support/servers/redis.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

/** Stores over one set of records, each with a client of its own. */
export interface OpenStores {
  readonly stores: readonly IdempotencyStore[];
  close(): Promise<void>;
}

export interface StoreKind {
  readonly name: string;
  open(count: number, random: Random): Promise<OpenStores>;
}

export const MEMORY: StoreKind = {
  name: 'memory',
  open: async (count) => {
    const store = new MemoryStore();
    return { stores: Array.from({ length: count }, () => store), close: async () => undefined };
  },
};

export const REDIS: StoreKind = {
  name: 'Redis',
  open: async (count) => {
    const server = await startRedis();
    const clients = Array.from({ length: count }, () => new Redis(server.port));
    return {
      stores: clients.map((client) => new RedisStore({ client })),
      close: async () => {
        for (const client of clients) client.disconnect();
        await server.stop();
      },
    };
  },
};

/** Connections break before a command arrives, or before its answer does; the client sends it again. */
export const CUT_REDIS: StoreKind = {
  name: 'Redis behind connections that break',
  open: async (count, random) => {
    const server = await startRedis();
    const proxy = await TcpProxy.start(server.port);
    proxy.fate = () =>
      random.isBelow(0.004) ? random.oneOf(['before', 'after'] as const) : undefined;
    const clients = Array.from(
      { length: count },
      () => new Redis(proxy.port, { maxRetriesPerRequest: 50, retryStrategy: () => 5 }),
    );
    for (const client of clients) client.on('error', () => undefined);
    return {
      stores: clients.map((client) => new RedisStore({ client })),
      close: async () => {
        for (const client of clients) client.disconnect();
        await proxy.stop();
        await server.stop();
      },
    };
  },
};

export const POSTGRES = sql('PostgreSQL', true);
/** As behind a pooler that hands out connections by the transaction. */
export const UNPREPARED_POSTGRES = sql('PostgreSQL without prepared statements', false);

function sql(name: string, preparedStatements: boolean): StoreKind {
  return {
    name,
    open: async (count) => {
      const server = await startPostgres();
      const dataSources: DataSource[] = [];
      const stores: TypeOrmStore[] = [];
      for (let index = 0; index < count; index += 1) {
        const dataSource = await new DataSource({
          type: 'postgres',
          url: postgresUrl(server.port),
          extra: { max: 4 },
          migrations: [CreateIdempotencyRecords1763700000000],
          migrationsRun: index === 0,
        }).initialize();
        dataSources.push(dataSource);
        const purge = { everyMs: 50, batch: 50 };
        const store = new TypeOrmStore({ dataSource, preparedStatements, purge });
        await store.start(() => undefined);
        stores.push(store);
      }
      return {
        stores,
        close: async () => {
          for (const store of stores) await store.close();
          for (const dataSource of dataSources) await dataSource.destroy();
          await server.stop();
        },
      };
    },
  };
}
