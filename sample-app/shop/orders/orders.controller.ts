import { Body, Controller, Delete, Get, HttpStatus, Param, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { Idempotent, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { RECORDS_IN_DATABASE } from '../setup/records/records-in-database.js';
import { Order } from './order.entity.js';
import { DeletedOrdersDto, DeleteOrdersDto, OrderId, PlaceOrderDto } from './orders.dto.js';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  /**
   * Nothing in an order identifies it, so the client first asks for a token
   * (`POST /idempotency/tokens`). Every attempt has the same id, which is the primary key. If a
   * process dies after it placed the order, the next attempt finds that order.
   */
  @Post()
  @Idempotent({ strategy: 'token' })
  @ApiCreatedResponse({ type: Order })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async place(@Body() { sku, quantity }: PlaceOrderDto, @Operation() op: IdempotentOperation) {
    return this.orders.place(await op.id(), sku, quantity);
  }

  @Get(':id')
  @ApiOkResponse({ type: Order })
  @ApiProblems(HttpStatus.NOT_FOUND)
  find(@Param() { id }: OrderId) {
    return this.orders.find(id);
  }

  /** A later repeat would delete other orders: those that became invalid since then. */
  @Delete()
  @Idempotent({ strategy: 'token', transaction: RECORDS_IN_DATABASE })
  @ApiOkResponse({ type: DeletedOrdersDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async deleteAll(@Query() { status }: DeleteOrdersDto) {
    return { deleted: await this.orders.deleteAll(status) };
  }
}
