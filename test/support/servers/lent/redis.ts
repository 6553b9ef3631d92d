import { Redis } from 'ioredis';
import { startRedis } from '../redis.js';
import { type LentServer, portOf, withPath } from './server.js';

const DATABASES = 4000;

/**
 * Lends databases by their numbers. Of `TEST_REDIS_URL` database 0 is left alone; the others are
 * emptied.
 */
export async function lentRedis(): Promise<LentServer> {
  const given = process.env.TEST_REDIS_URL;
  const server =
    given === undefined ? await startRedis('--databases', String(DATABASES)) : undefined;
  const url = given ?? `redis://127.0.0.1:${server!.port}`;
  const count = server ? DATABASES : await databasesOf(url);
  const free = Array.from({ length: count - 1 }, (_, index) => index + 1);
  const waiting: ((database: number) => void)[] = [];
  return {
    async lend() {
      const database = free.shift() ?? (await new Promise<number>((take) => waiting.push(take)));
      const its = withPath(url, String(database));
      return {
        name: String(database),
        url: its,
        port: portOf(url, 6379),
        async free() {
          await once(its, (redis) => redis.flushdb());
          const next = waiting.shift();
          if (next) next(database);
          else free.push(database);
        },
      };
    },
    async stop() {
      await server?.stop();
    },
  };
}

async function databasesOf(url: string): Promise<number> {
  const [, count] = (await once(url, (redis) => redis.config('GET', 'databases'))) as string[];
  return Number(count);
}

async function once<T>(url: string, ask: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}
