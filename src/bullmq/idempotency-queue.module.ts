import { Module } from '@nestjs/common';
import { QueueStrategy } from './queue.strategy.js';
import { QueuedOperations } from './queued-operations.js';
import { Queues } from './queues.js';

/**
 * Brings `strategy: 'queue'` to an application that has its queues from `@nestjs/bullmq`.
 *
 * @example
 * ```ts
 * imports: [
 *   IdempotencyModule.forRoot({ store }),
 *   BullModule.registerQueue({ name: 'imports' }),
 *   IdempotencyQueueModule,
 * ]
 * ```
 */
@Module({
  providers: [Queues, QueueStrategy, QueuedOperations],
  exports: [QueuedOperations],
})
export class IdempotencyQueueModule {}
