import { Redis } from 'ioredis';
import { type IdempotencyModule, MemoryStore } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import type { ShopConfig } from '../config.js';
import { RedisModule } from './redis.module.js';

type ModuleOptions = NonNullable<Parameters<typeof IdempotencyModule.forRoot>[0]>;

/** Where the shop keeps its records. */
export function recordsIn({
  records,
}: ShopConfig): Pick<ModuleOptions, 'store' | 'allowMemoryStore' | 'imports'> {
  switch (records.store) {
    case 'memory':
      // One process and an empty database at every start: it fits, in production too.
      return { store: new MemoryStore(), allowMemoryStore: true };
    case 'redis':
      return {
        imports: [RedisModule.at(records.url)],
        store: { inject: [Redis], useFactory: (client: Redis) => new RedisStore({ client }) },
      };
  }
}
