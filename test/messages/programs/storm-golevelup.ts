import 'reflect-metadata';
import { RabbitMQModule, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Idempotent, IdempotencyModule, IdempotencyService, messageId } from 'nestjs-idempotency';
import { queueSettings } from '../support/rabbitmq.js';
import { book, broker, LOGGED, MODULE, OPTIONS, serve } from '../support/storm-consumer.js';
import type { StormMessage } from '../support/storm-plan.js';

@Injectable()
class Bookings {
  constructor(private readonly idempotency: IdempotencyService) {}

  @Idempotent({ ...OPTIONS, key: messageId(), label: messageId() })
  @RabbitSubscribe({ queue: broker.queue, queueOptions: queueSettings(broker.queue) })
  async book(message: StormMessage): Promise<void> {
    await book(message, this.idempotency.current()!.manager);
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot(MODULE),
    RabbitMQModule.forRoot({
      uri: broker.url,
      prefetchCount: 4,
      connectionInitOptions: { timeout: 30_000 },
      connectionManagerOptions: { reconnectTimeInSeconds: 1 },
    }),
  ],
  providers: [Bookings],
})
class ConsumerModule {}

serve(await (await NestFactory.create(ConsumerModule, { logger: LOGGED })).init());
