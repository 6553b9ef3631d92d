import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis6';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createClient, createCluster } from 'redis';
import { createClient as createClient5, createCluster as createCluster5 } from 'redis5';

/** A client of some library, with a store on it. */
export interface RedisClient {
  readonly store: RedisStore;
  disconnect(): void;
}

/** Every client library and setting that the store is for. */
export const REDIS_CLIENTS: readonly {
  name: string;
  /** @param url with the number of the database in it */
  open: (url: string) => Promise<RedisClient>;
}[] = [
  { name: 'ioredis 5', open: (url) => ofIoredis(new Redis(url)) },
  { name: 'ioredis 6', open: (url) => ofIoredis(new Redis6(url)) },
  {
    name: 'ioredis 5 with a key prefix',
    open: (url) => ofIoredis(new Redis(url, { keyPrefix: 'app:' })),
  },
  {
    name: 'ioredis 6 with a key prefix',
    open: (url) => ofIoredis(new Redis6(url, { keyPrefix: 'app:' })),
  },
  {
    name: 'ioredis with automatic pipelining',
    open: (url) => ofIoredis(new Redis(url, { enableAutoPipelining: true })),
  },
  {
    name: 'node-redis 5',
    open: async (url) => {
      const client = createClient5({ url });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
  {
    name: 'node-redis 6',
    open: async (url) => {
      const client = createClient({ url });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
  {
    name: 'node-redis 6 with a key prefix',
    open: async (url) => {
      const client = createClient({ url, keyPrefix: 'app:' });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
];

/** Every client library that speaks to a Cluster; any of its nodes will do to begin with. */
export const REDIS_CLUSTER_CLIENTS: readonly {
  name: string;
  open: (ports: readonly number[]) => Promise<RedisClient>;
}[] = [
  { name: 'ioredis 5', open: (ports) => ofIoredis(new Cluster(ports.slice())) },
  {
    name: 'ioredis 6 with a key prefix and automatic pipelining',
    open: (ports) =>
      ofIoredis(new Cluster6(ports.slice(), { keyPrefix: 'app:', enableAutoPipelining: true })),
  },
  {
    name: 'node-redis 5',
    open: async (ports) => {
      const client = createCluster5({ rootNodes: ports.map(urlOf) });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
  {
    name: 'node-redis 6 with a key prefix',
    open: async (ports) => {
      const client = createCluster({ rootNodes: ports.map(urlOf), keyPrefix: 'app:' });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
];

const urlOf = (port: number): { url: string } => ({ url: `redis://127.0.0.1:${port}` });

function ofIoredis(client: Redis | Redis6 | Cluster | Cluster6): Promise<RedisClient> {
  return Promise.resolve({
    store: new RedisStore({ client }),
    disconnect: () => client.disconnect(),
  });
}
