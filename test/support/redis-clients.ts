import { Redis } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createClient } from 'redis';
import { createClient as createClient5 } from 'redis5';

/** A client of some library, with a store on it. */
export interface RedisClient {
  readonly store: RedisStore;
  disconnect(): void;
}

/** Every client library and setting that the store is for. */
export const REDIS_CLIENTS: readonly {
  name: string;
  open: (port: number) => Promise<RedisClient>;
}[] = [
  { name: 'ioredis 5', open: (port) => ofIoredis(new Redis(port)) },
  { name: 'ioredis 6', open: (port) => ofIoredis(new Redis6(port)) },
  {
    name: 'ioredis 5 with a key prefix',
    open: (port) => ofIoredis(new Redis(port, { keyPrefix: 'app:' })),
  },
  {
    name: 'ioredis 6 with a key prefix',
    open: (port) => ofIoredis(new Redis6(port, { keyPrefix: 'app:' })),
  },
  {
    name: 'ioredis with automatic pipelining',
    open: (port) => ofIoredis(new Redis(port, { enableAutoPipelining: true })),
  },
  {
    name: 'node-redis 5',
    open: async (port) => {
      const client = createClient5({ url: `redis://127.0.0.1:${port}` });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
  {
    name: 'node-redis 6',
    open: async (port) => {
      const client = createClient({ url: `redis://127.0.0.1:${port}` });
      await client.connect();
      return { store: new RedisStore({ client }), disconnect: () => client.destroy() };
    },
  },
];

function ofIoredis(client: Redis | Redis6): Promise<RedisClient> {
  return Promise.resolve({
    store: new RedisStore({ client }),
    disconnect: () => client.disconnect(),
  });
}
