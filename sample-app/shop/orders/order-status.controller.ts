import { applyDecorators, Controller, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { Idempotent, param } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ORDER_TRANSITIONS, type OrderStatus } from './order-status.js';
import { Order } from './order.entity.js';
import { OrderId } from './orders.dto.js';
import { OrdersService } from './orders.service.js';

/** Every order gets there once, and only from where it may. */
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

/** The status has changed when a handler begins, in a transaction that commits when it ends. */
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

  /** For `DELETE /orders?status=invalid` to find something. */
  @Post('invalidate')
  @ChangesTo('invalid')
  invalidate(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }
}
