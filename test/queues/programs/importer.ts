import 'reflect-metadata';
import { BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import { IdempotencyModule, IdempotencyService, Idempotent } from 'nestjs-idempotency';
import { IdempotencyQueueModule } from 'nestjs-idempotency/bullmq';
import { RedisStore } from 'nestjs-idempotency/redis';
import { once } from 'node:events';
import type { Started } from '../support/importers.js';

/** A worker. Stands still before its effect when it is told so, to be paused or killed there. */
const { REDIS_PORT, STANDS_STILL } = process.env;
const port = Number(REDIS_PORT);
const client = new Redis(port);

@Processor('imports', { lockDuration: 1_000, stalledInterval: 500, maxStalledCount: 5 })
class ImportsProcessor extends WorkerHost {
  constructor(private readonly idempotency: IdempotencyService) {
    super();
  }

  @Idempotent({ strategy: 'queue', queue: 'imports', lease: '1s', retryAfter: '100ms' })
  async process(job: Job<{ name: string }>): Promise<object> {
    const operation = this.idempotency.current()!;
    if (STANDS_STILL === 'true') {
      process.send?.('standing still');
      await once(process, 'message');
    }
    await operation.step('import', async () => {
      await client.rpush('effects', `${job.data.name} by ${process.pid}`);
    });
    return { by: process.pid, attempt: operation.attempt };
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot({ store: new RedisStore({ client }) }),
    BullModule.forRoot({ connection: { host: '127.0.0.1', port } }),
    BullModule.registerQueue({ name: 'imports' }),
    IdempotencyQueueModule,
  ],
  providers: [ImportsProcessor],
})
class ImporterModule {}

await NestFactory.createApplicationContext(ImporterModule, { logger: ['fatal'] });
process.send?.({ pid: process.pid } satisfies Started);
