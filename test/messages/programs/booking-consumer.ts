import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, RmqContext, Transport } from '@nestjs/microservices';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  messageId,
  Operation,
} from 'nestjs-idempotency';
import type { Channel, Message } from 'amqplib';
import { setTimeout as sleep } from 'node:timers/promises';
import { finalize } from 'rxjs';
import type { EntityManager } from 'typeorm';
import { openStore } from '../../processes/support/open-store.js';
import { ChannelWatch } from '../support/channel-watch.js';
import { queueSettings } from '../support/rabbitmq.js';

/** A consumer whose effect and record are one commit. Says on its error output what goes wrong. */
const { QUEUE, BROKER_URL, DATABASE_PORT } = process.env as Record<string, string>;
const acknowledge = process.env.ACKNOWLEDGE === 'by hand';
const business = await openStore('PostgreSQL', Number(DATABASE_PORT));

@Controller()
class Bookings {
  @Idempotent({
    key: messageId(),
    transaction: true,
    acknowledge,
    retryAfter: 10,
    // Without a way back to the queue, a duplicate waits for the first one.
    wait: acknowledge ? 0 : '60s',
  })
  @EventPattern<string>('book')
  async book(@Payload() name: string, @Operation() op: IdempotentOperation): Promise<void> {
    await business.act(name, op.manager as EntityManager);
    await sleep(5);
  }

  /** Reaches a consumer that has settled everything before. */
  @EventPattern('probe')
  probe(@Ctx() context: RmqContext): void {
    const channel = context.getChannelRef() as Channel;
    channel.ack(context.getMessage() as Message);
    process.send?.('free');
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: business.store, storeTimeout: '60s' })],
  controllers: [Bookings],
})
class ConsumerModule {}

const app = await NestFactory.createMicroservice(ConsumerModule, {
  transport: Transport.RMQ,
  options: {
    urls: [BROKER_URL!],
    queue: QUEUE,
    queueOptions: queueSettings(QUEUE!),
    noAck: !acknowledge,
    prefetchCount: 1,
  },
  logger: ['error', 'fatal'],
});
let handled = 0;
const count = finalize(() => (handled += 1));
app.useGlobalInterceptors(new ChannelWatch((error) => console.error(error)), {
  intercept: (_context, next) => next.handle().pipe(count),
});
process.on('message', (message: 'count' | 'stop') => {
  if (message === 'count') process.send?.(handled);
  else void app.close().then(() => process.exit());
});
await app.listen();
process.send?.('ready');
