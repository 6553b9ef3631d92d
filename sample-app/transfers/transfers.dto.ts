import { IsAmount } from '../validation/amount.js';
import { IsBusinessNumber, type BusinessNumber } from '../validation/business-number.js';

export class TransferDto {
  @IsBusinessNumber()
  serialNo!: BusinessNumber;

  @IsAmount()
  amount!: number;
}
