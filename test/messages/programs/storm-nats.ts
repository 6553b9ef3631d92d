import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, Payload, Transport } from '@nestjs/microservices';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  messageId,
  Operation,
} from 'nestjs-idempotency';
import { book, broker, LOGGED, MODULE, OPTIONS, serve } from '../support/storm-consumer.js';
import type { StormMessage } from '../support/storm-plan.js';

@Controller()
class Bookings {
  @Idempotent({ ...OPTIONS, key: messageId(), label: messageId() })
  @MessagePattern('book')
  book(@Payload() message: StormMessage, @Operation() op: IdempotentOperation): Promise<string> {
    return book(message, op.manager);
  }
}

@Module({ imports: [IdempotencyModule.forRoot(MODULE)], controllers: [Bookings] })
class ConsumerModule {}

const app = await NestFactory.createMicroservice(ConsumerModule, {
  transport: Transport.NATS,
  options: {
    servers: [broker.url],
    queue: broker.queue,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  },
  logger: LOGGED,
});
await app.listen();
serve(app);
