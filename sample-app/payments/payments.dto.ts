import { IsAmount } from '../validation/amount.js';
import { IsBusinessNumber, type BusinessNumber } from '../validation/business-number.js';

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
