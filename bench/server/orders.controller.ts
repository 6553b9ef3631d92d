import { applyDecorators, Body, Controller, Post, type Type } from '@nestjs/common';

interface Order {
  readonly customer: string;
  readonly sku: string;
  readonly quantity: number;
  readonly price: string;
  readonly note: string;
}

interface Receipt {
  readonly id: number;
  readonly sku: string;
  readonly quantity: number;
  readonly total: string;
  readonly status: string;
}

/** The same handler for everything that is measured; only what stands above it differs. */
export function ordersController(...protection: MethodDecorator[]): Type {
  @Controller('orders')
  class OrdersController {
    private orders = 0;

    @applyDecorators(...protection)
    @Post()
    create(@Body() { sku, quantity, price }: Order): Receipt {
      this.orders += 1;
      const total = (quantity * Number(price)).toFixed(2);
      return { id: 100_000 + this.orders, sku, quantity, total, status: 'accepted' };
    }
  }
  return OrdersController;
}
