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
import { queueSettings } from '../support/rabbitmq.js';
import { book, broker, LOGGED, MODULE, OPTIONS, serve } from '../support/storm-consumer.js';
import type { StormMessage } from '../support/storm-plan.js';

@Controller()
class Bookings {
  @Idempotent({ ...OPTIONS, key: messageId(), label: messageId(), acknowledge: true })
  @EventPattern<string>('book')
  book(@Payload() message: StormMessage, @Operation() op: IdempotentOperation): Promise<string> {
    return book(message, op.manager);
  }
}

@Module({ imports: [IdempotencyModule.forRoot(MODULE)], controllers: [Bookings] })
class ConsumerModule {}

const app = await NestFactory.createMicroservice(ConsumerModule, {
  transport: Transport.RMQ,
  options: {
    urls: [broker.url],
    queue: broker.queue,
    queueOptions: queueSettings(broker.queue),
    noAck: false,
    prefetchCount: 4,
    socketOptions: { reconnectTimeInSeconds: 1 },
  },
  logger: LOGGED,
});
await app.listen();
serve(app);
