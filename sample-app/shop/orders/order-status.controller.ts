import { applyDecorators, Controller, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, param } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ORDER_TRANSITIONS, type OrderStatus } from './order-status.js';
import { Order } from './order.entity.js';
import { OrderId } from './orders.dto.js';
import { OrdersService } from './orders.service.js';

/** Every order reaches this status once, and only from an allowed one. */
const ChangesTo = (to: OrderStatus): MethodDecorator =>
  applyDecorators(
    Idempotent({
      strategy: 'state',
      entity: Order,
      id: param('id'),
      column: 'status',
      to,
      from: ORDER_TRANSITIONS,
    }),
    ApiCreatedResponse({ type: Order }),
    ApiProblems(HttpStatus.BAD_REQUEST),
  );

/**
 * When a handler begins, the status has already changed, in a transaction that commits when the
 * handler ends.
 */
@Controller('orders/:id')
export class OrderStatusController {
  constructor(private readonly orders: OrdersService) {}

  @Post('pay')
  @ChangesTo('paid')
  pay(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }

  @Post('ship')
  @ChangesTo('shipped')
  ship(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }

  @Post('cancel')
  @ChangesTo('cancelled')
  cancel(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }

  /** Makes an order that `DELETE /orders?status=invalid` can delete. */
  @Post('invalidate')
  @ChangesTo('invalid')
  invalidate(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }
}
