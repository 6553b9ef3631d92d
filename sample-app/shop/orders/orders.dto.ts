import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { Equals, IsUUID } from 'class-validator';
import { IsPositiveInteger } from '../common/validation/positive-integer.js';
import { IsText } from '../common/validation/text.js';

export class PlaceOrderDto {
  @IsText(64)
  sku!: string;

  /** Forms send it as text. */
  @Type(() => Number)
  @IsPositiveInteger()
  quantity!: number;
}

export class DeleteOrdersDto {
  /** Only these orders are no longer needed. */
  @ApiProperty({ enum: ['invalid'] })
  @Equals('invalid')
  status!: 'invalid';
}

export class OrderId {
  @ApiProperty({ format: 'uuid' })
  @IsUUID()
  id!: string;
}

export class DeletedOrdersDto {
  @ApiProperty()
  deleted!: number;
}
