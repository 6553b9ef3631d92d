import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '../common/validation/text.js';

export class CouponId {
  @IsText(64)
  id!: string;
}

export class CouponDto extends CouponId {
  @ApiProperty({ description: 'How many there are left.' })
  left!: number;
}

export class ClaimedCouponDto extends CouponDto {
  @ApiProperty({ description: 'Which one it is; every one is claimed once.' })
  no!: number;
}
