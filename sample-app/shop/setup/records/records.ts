import type { Redis } from 'ioredis';
import { type IdempotencyModuleOptions, MemoryStore } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmResources, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import type { ShopConfig } from '../config.js';

/**
 * Where the shop keeps its records. An application with one store needs only one of these lines.
 */
export function recordsIn(
  { records }: ShopConfig,
  dataSource: DataSource,
  redis: Redis | undefined,
): IdempotencyModuleOptions {
  // Goods and orders are always in SQL, so their versions and states change there.
  const resources = new TypeOrmResources({ dataSource });
  if (redis) return { store: new RedisStore({ client: redis }), resources };
  // One process that loses its records when it ends. That is fine for a demo, even in production.
  if (records.store === 'memory')
    return { store: new MemoryStore(), allowMemoryStore: true, resources };
  // A pool of one is that of the embedded database, whose one session all connections have in turns:
  // names of prepared statements would meet, and waiting for a turn is no outage.
  const isEmbedded = dataSource.options.poolSize === 1;
  return {
    store: new TypeOrmStore({ dataSource, preparedStatements: !isEmbedded }),
    ...(isEmbedded && { storeTimeout: '10s' }),
  };
}
