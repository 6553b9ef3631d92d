import { IsString, Length } from 'class-validator';

export class CouponId {
  @IsString()
  @Length(1, 64)
  id!: string;
}
