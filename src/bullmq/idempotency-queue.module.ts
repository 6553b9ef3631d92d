import { Module } from '@nestjs/common';
import { QueueStrategy } from './queue.strategy.js';
import { QueuedOperations } from './queued-operations.js';
import { Queues } from './queues.js';

/**
 * Adds `strategy: 'queue'` to an application whose queues come from `@nestjs/bullmq`.
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
