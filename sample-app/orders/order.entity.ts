import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { OrderStatus } from './order-status.js';

@Entity('orders')
export class Order {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('text')
  sku!: string;

  @Column('integer')
  quantity!: number;

  @Column('varchar', { length: 16 })
  status!: OrderStatus;
}
