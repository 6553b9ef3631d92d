import { Equals, IsInt, IsString, IsUUID, Length, Max, Min } from 'class-validator';
import { MAX_INTEGER } from '../validation/row-id.js';

export class PlaceOrderDto {
  @IsString()
  @Length(1, 64)
  sku!: string;

  @IsInt()
  @Min(1)
  @Max(MAX_INTEGER)
  quantity!: number;
}

export class DeleteOrdersDto {
  /** The only orders that nobody needs any more. */
  @Equals('invalid')
  status!: 'invalid';
}

export class OrderId {
  @IsUUID()
  id!: string;
}
