import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Idempotent, payload } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { RECORDS_IN_DATABASE } from '../setup/records/records-in-database.js';
import type { OrderEventDto } from './order-event.dto.js';
import { Sms } from './sms.entity.js';

/** Tells customers the status of their orders. Gets the same events as the orders. */
@Controller()
export class SmsConsumer {
  constructor(private readonly database: DataSource) {}

  /** One text message for each event, however often it is delivered. */
  @EventPattern(['order-events.paid', 'order-events.shipped', 'order-events.cancelled'])
  @Idempotent({
    key: payload('messageId'),
    transaction: RECORDS_IN_DATABASE,
    wait: '10s',
    acknowledge: true,
  })
  async send(@Payload() { orderId, status }: OrderEventDto): Promise<void> {
    const text = `Your order is ${status}.`;
    await currentManager(this.database).insert(Sms, { orderId, text });
  }
}
