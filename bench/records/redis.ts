import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import type { Minimum } from './minimum.js';
import { type Records, TTL_MS } from './records.js';

/** Each with what makes it faster: automatic pipelining pays for plain commands, not for scripts. */
export function redisRecords(url: string): Records {
  const client = new Redis(url);
  const pipelining = new Redis(url, { enableAutoPipelining: true });
  return {
    store: new RedisStore({ client }),
    minimum: new RedisMinimum(pipelining),
    close: async () => void (await Promise.all([client.quit(), pipelining.quit()])),
  };
}

const CLAIMED = 'claimed';

class RedisMinimum implements Minimum {
  constructor(private readonly client: Redis) {}

  async claim(key: string): Promise<boolean> {
    return (await this.client.set(key, CLAIMED, 'PX', TTL_MS, 'NX')) === 'OK';
  }

  async find(key: string): Promise<unknown> {
    const kept = await this.client.get(key);
    return kept === null || kept === CLAIMED ? undefined : (JSON.parse(kept) as unknown);
  }

  async keep(key: string, value: unknown): Promise<void> {
    await this.client.set(key, JSON.stringify(value), 'PX', TTL_MS);
  }
}
