export { TypeOrmStore, type TypeOrmStoreOptions } from './typeorm.store.js';
export type { PurgeOptions } from './purge-timer.js';
export { IdempotencyRecord } from './idempotency-record.entity.js';
export { CreateIdempotencyRecords1763700000000 } from './create-idempotency-records.migration.js';
