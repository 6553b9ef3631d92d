import { IntersectionType } from '@nestjs/swagger';
import { IsAmount } from '../common/validation/amount.js';
import { IsBusinessNumber, type BusinessNumber } from '../common/validation/business-number.js';
import { RowId } from '../common/validation/row-id.js';

export class PayDto {
  @IsBusinessNumber()
  orderId!: BusinessNumber;

  @IsAmount()
  amount!: number;
}

export class PayByOrderDto {
  @IsBusinessNumber()
  orderNo!: BusinessNumber;

  @IsAmount()
  amount!: number;
}

export class PaidDto extends IntersectionType(RowId, PayDto) {}
export class PaidByOrderDto extends IntersectionType(RowId, PayByOrderDto) {}
