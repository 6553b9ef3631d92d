import { ApiProperty } from '@nestjs/swagger';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { EVERY_STATUS, type OrderStatus } from './order-status.js';

@Entity('orders')
export class Order {
  @ApiProperty({ format: 'uuid' })
  @PrimaryColumn('uuid')
  id!: string;

  @ApiProperty()
  @Column('text')
  sku!: string;

  @ApiProperty()
  @Column('integer')
  quantity!: number;

  @ApiProperty({ enum: EVERY_STATUS })
  @Column('varchar', { length: 16 })
  status!: OrderStatus;
}
