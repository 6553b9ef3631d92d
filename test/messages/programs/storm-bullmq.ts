import 'reflect-metadata';
import { BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Job } from 'bullmq';
import { arg, Idempotent, IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { book, broker, LOGGED, MODULE, OPTIONS, serve } from '../support/storm-consumer.js';
import type { StormMessage } from '../support/storm-plan.js';

const CONCURRENCY = 4;

@Processor(broker.queue, {
  concurrency: CONCURRENCY,
  lockDuration: 2_000,
  stalledInterval: 1_000,
  maxStalledCount: 100,
})
class Bookings extends WorkerHost {
  constructor(private readonly idempotency: IdempotencyService) {
    super();
  }

  @Idempotent({ ...OPTIONS, key: arg(0, 'data', 'id'), label: arg(0, 'data', 'id') })
  async process(job: Job<StormMessage>): Promise<string> {
    return book(job.data, this.idempotency.current()!.manager);
  }
}

const { hostname, port } = new URL(broker.url);
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null };

@Module({
  imports: [
    IdempotencyModule.forRoot(MODULE),
    BullModule.forRoot({ connection }),
    BullModule.registerQueue({ name: broker.queue }),
  ],
  providers: [Bookings],
})
class ConsumerModule {}

serve(await NestFactory.createApplicationContext(ConsumerModule, { logger: LOGGED }));
