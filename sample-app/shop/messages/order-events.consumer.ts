import { applyDecorators, Controller } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Idempotent, payload } from 'nestjs-idempotency';
import { ORDER_TRANSITIONS, type OrderStatus } from '../orders/order-status.js';
import { Order } from '../orders/order.entity.js';

/**
 * If a message is late or comes again, the order is already further on, and the message is skipped.
 */
const OnStatus = (to: OrderStatus): MethodDecorator =>
  applyDecorators(
    EventPattern(`order-events.${to}`) as MethodDecorator,
    Idempotent({
      strategy: 'state',
      entity: Order,
      id: payload('orderId'),
      column: 'status',
      to,
      from: ORDER_TRANSITIONS,
      wait: '10s',
      acknowledge: true,
    }),
  );

/**
 * Orders follow the reports of other systems. When a handler begins, the status has already
 * changed.
 */
@Controller()
export class OrderEventsConsumer {
  @OnStatus('created')
  created(): void {}

  @OnStatus('paid')
  paid(): void {}

  @OnStatus('shipped')
  shipped(): void {}

  @OnStatus('cancelled')
  cancelled(): void {}
}
