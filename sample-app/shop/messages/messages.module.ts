import { type DynamicModule, Module } from '@nestjs/common';
import { ClientsModule } from '@nestjs/microservices';
import { TypeOrmModule } from '@nestjs/typeorm';
import { OrdersModule } from '../orders/orders.module.js';
import { MessagesController, ORDER_PRODUCER } from './messages.controller.js';
import type { OrderBus } from './order-bus.js';
import { OrderEventsConsumer } from './order-events.consumer.js';
import { SmsConsumer } from './sms.consumer.js';
import { Sms } from './sms.entity.js';

@Module({})
export class MessagesModule {
  static on({ producer }: OrderBus): DynamicModule {
    return {
      module: MessagesModule,
      imports: [
        OrdersModule,
        TypeOrmModule.forFeature([Sms]),
        ClientsModule.register([{ name: ORDER_PRODUCER, ...producer }]),
      ],
      controllers: [MessagesController, OrderEventsConsumer, SmsConsumer],
    };
  }
}
