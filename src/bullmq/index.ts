export { IdempotencyQueueModule } from './idempotency-queue.module.js';
export { QueueStrategy } from './queue.strategy.js';
export {
  type QueuedOperation,
  QueuedOperations,
  type QueuedOperationStatus,
} from './queued-operations.js';
