import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsUUID } from 'class-validator';
import { ORDER_STATUSES, type OrderStatus } from '../orders/order-status.js';
import { IsText } from '../common/validation/text.js';

/** That an order has got somewhere, as another system tells it. */
export class OrderEventDto {
  /** The message's own: every delivery of it has the same one. */
  @IsText(64)
  messageId!: string;

  @ApiProperty({ format: 'uuid' })
  @IsUUID()
  orderId!: string;

  @ApiProperty({ enum: ORDER_STATUSES })
  @IsIn(ORDER_STATUSES)
  status!: OrderStatus;
}

export class SentEventDto {
  @ApiProperty()
  messageId!: string;

  @ApiProperty({ description: 'How often it was put on the bus.' })
  deliveries!: number;
}
