import { HttpStatus, Injectable } from '@nestjs/common';
import { currentManager, insertOrGet } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { ProblemException } from '../common/problems/problems.js';
import type { OrderStatus } from './order-status.js';
import { Order } from './order.entity.js';

@Injectable()
export class OrdersService {
  constructor(private readonly database: DataSource) {}

  /** Places the order, or finds the one that an earlier attempt placed with this id. */
  async place(id: string, sku: string, quantity: number): Promise<Order> {
    const order = { id, sku, quantity, status: 'created' } as const;
    const { entity } = await insertOrGet(currentManager(this.database), Order, order);
    return entity;
  }

  async find(id: string): Promise<Order> {
    const order = await currentManager(this.database).findOneBy(Order, { id });
    if (!order) throw new ProblemException(HttpStatus.NOT_FOUND, 'This order does not exist.');
    return order;
  }

  /** Returns how many were deleted. */
  async deleteAll(status: OrderStatus): Promise<number> {
    const { affected } = await currentManager(this.database).delete(Order, { status });
    return affected ?? 0;
  }
}
