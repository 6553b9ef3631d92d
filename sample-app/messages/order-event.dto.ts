import { IsIn, IsString, IsUUID, Length } from 'class-validator';
import { ORDER_STATUSES, type OrderStatus } from '../orders/order-status.js';

/** That an order has got somewhere, as another system tells it. */
export class OrderEventDto {
  /** The message's own: every delivery of it has the same one. */
  @IsString()
  @Length(1, 64)
  messageId!: string;

  @IsUUID()
  orderId!: string;

  @IsIn(ORDER_STATUSES)
  status!: OrderStatus;
}
