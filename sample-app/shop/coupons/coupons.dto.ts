import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '../common/validation/text.js';

export class CouponId {
  @IsText(64)
  id!: string;
}

export class CouponDto extends CouponId {
  @ApiProperty({ description: 'How many are left.' })
  left!: number;
}

export class ClaimedCouponDto extends CouponDto {
  @ApiProperty({ description: 'The number of the piece. Each is claimed once.' })
  no!: number;
}
