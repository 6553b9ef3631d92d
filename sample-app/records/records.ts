import { Redis } from 'ioredis';
import { type IdempotencyModule, MemoryStore } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import type { ShopConfig } from '../config.js';
import { RedisModule } from './redis.module.js';

type ModuleOptions = NonNullable<Parameters<typeof IdempotencyModule.forRoot>[0]>;

/** Where the shop keeps its records. */
export function recordsIn({
  records,
  database,
}: ShopConfig): Pick<ModuleOptions, 'store' | 'storeTimeout' | 'allowMemoryStore' | 'imports'> {
  switch (records.store) {
    case 'typeorm':
      return {
        store: {
          inject: [DataSource],
          useFactory: (dataSource: DataSource) => new TypeOrmStore({ dataSource }),
        },
        // All share one connection to the embedded database: waiting for a turn is no outage.
        ...(database ? {} : { storeTimeout: '10s' }),
      };
    case 'memory':
      // One process, which forgets everything when it ends: right for a look, in production too.
      return { store: new MemoryStore(), allowMemoryStore: true };
    case 'redis':
      return {
        imports: [RedisModule.at(records.url)],
        store: { inject: [Redis], useFactory: (client: Redis) => new RedisStore({ client }) },
      };
  }
}
