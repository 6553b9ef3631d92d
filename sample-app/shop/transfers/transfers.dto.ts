import { ApiProperty, IntersectionType } from '@nestjs/swagger';
import { IsAmount } from '../common/validation/amount.js';
import { IsBusinessNumber, type BusinessNumber } from '../common/validation/business-number.js';
import { RowId } from '../common/validation/row-id.js';

export class TransferDto {
  @IsBusinessNumber()
  serialNo!: BusinessNumber;

  @IsAmount()
  amount!: number;
}

export class TransferredDto extends IntersectionType(RowId, TransferDto) {
  @ApiProperty()
  clientId!: string;
}

export class AuditedTransferDto extends TransferredDto {
  @ApiProperty({ type: 'object', additionalProperties: true, description: 'What the caller sent.' })
  sent!: unknown;
}
