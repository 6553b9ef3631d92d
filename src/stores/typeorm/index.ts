import type { EntityManager } from 'typeorm';

export { TypeOrmStore, type TypeOrmStoreOptions } from './typeorm.store.js';
export type { PurgeOptions } from '../sql/purge-timer.js';
export { IdempotencyRecord } from './idempotency-record.entity.js';
export {
  AddIdempotencyLimits1764500000000,
  AddIdempotencyStory1764700000000,
  CreateIdempotencyRecords1763700000000,
} from './migrations.js';
export type { TableName } from '../sql/dialect.js';
export { TypeOrmResources, type TypeOrmResourcesOptions } from './entity-resource.js';
export { currentManager, outsideTransaction } from './current-manager.js';
export { insertOrGet, type InsertOrGetResult } from './insert-or-get.js';
export { UniqueIndexConflictError } from '../sql/insert-or-get.js';

declare module '../../engine/transaction.js' {
  interface OperationManagers {
    readonly typeorm: EntityManager;
  }
}
