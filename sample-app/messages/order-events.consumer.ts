import { applyDecorators, Controller, UseInterceptors } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { Idempotent, payload } from 'nestjs-idempotency';
import { EffectsService } from '../effects/effects.service.js';
import { ORDER_TRANSITIONS, type OrderStatus } from '../orders/order-status.js';
import { Order } from '../orders/order.entity.js';
import { ShowsDeliveries } from '../timeline/shows-deliveries.interceptor.js';

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
@UseInterceptors(ShowsDeliveries)
@Controller()
export class OrderEventsConsumer {
  constructor(private readonly effects: EffectsService) {}

  @OnStatus('created')
  created(): void {
    this.effects.ran('POST /messages/order-events');
  }

  @OnStatus('paid')
  paid(): void {
    this.effects.ran('POST /messages/order-events');
  }

  @OnStatus('shipped')
  shipped(): void {
    this.effects.ran('POST /messages/order-events');
  }

  @OnStatus('cancelled')
  cancelled(): void {
    this.effects.ran('POST /messages/order-events');
  }
}
