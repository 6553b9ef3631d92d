import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  messageId,
  Operation,
} from 'nestjs-idempotency';
import { logLevel } from 'kafkajs';
import { book, broker, LOGGED, MODULE, OPTIONS, serve } from '../support/storm-consumer.js';
import type { StormMessage } from '../support/storm-plan.js';

@Controller()
class Bookings {
  @Idempotent({ ...OPTIONS, key: messageId(), label: messageId() })
  @EventPattern<string>('book')
  async book(
    @Payload() message: StormMessage,
    @Operation() op: IdempotentOperation,
  ): Promise<void> {
    await book(message, op.manager);
  }
}

@Module({ imports: [IdempotencyModule.forRoot(MODULE)], controllers: [Bookings] })
class ConsumerModule {}

const app = await NestFactory.createMicroservice(ConsumerModule, {
  transport: Transport.KAFKA,
  options: {
    client: { brokers: [broker.url], logLevel: logLevel.NOTHING },
    consumer: {
      groupId: broker.queue,
      sessionTimeout: 6_000,
      heartbeatInterval: 500,
      retry: { initialRetryTime: 20, maxRetryTime: 50, retries: 10 },
    },
    subscribe: { fromBeginning: true },
    // What is not committed comes again when its consumer is killed: one message of each partition.
    run: { partitionsConsumedConcurrently: 2, autoCommitThreshold: 1 },
  },
  logger: LOGGED,
});
await app.listen();
serve(app);
