import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsUUID } from 'class-validator';
import { ORDER_STATUSES, type OrderStatus } from '../orders/order-status.js';
import { IsText } from '../common/validation/text.js';

/** Another system reports the status of an order. */
export class OrderEventDto {
  /** The id of the message: the same for every delivery. */
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

  @ApiProperty({ description: 'How many times it was put on the bus.' })
  deliveries!: number;
}
