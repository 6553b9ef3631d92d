import { applyDecorators, Controller } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Idempotent, payload } from 'nestjs-idempotency';
import { ORDER_TRANSITIONS, type OrderStatus } from '../orders/order-status.js';
import { Order } from '../orders/order.entity.js';

/** A message that is late, or comes again, finds an order that has gone on: it is skipped. */
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

/** Orders follow what other systems tell of them. The status has changed when a handler begins. */
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
