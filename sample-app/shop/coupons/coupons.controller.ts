import { Controller, Get, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse } from '@nestjs/swagger';
import { Idempotent, Operation, param, type IdempotentOperation } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { ClaimedCouponDto, CouponDto, CouponId } from './coupons.dto.js';
import { CouponsService } from './coupons.service.js';

@Controller('coupons/:id')
export class CouponsController {
  constructor(private readonly coupons: CouponsService) {}

  /** One call at a time for each coupon, in all processes. The others wait for their turn. */
  @Post('claim')
  @Idempotent({ strategy: 'lock', key: param('id'), wait: '30s' })
  @ApiCreatedResponse({ type: ClaimedCouponDto })
  @ApiProblems(HttpStatus.BAD_REQUEST, HttpStatus.CONFLICT)
  claim(@Param() { id }: CouponId, @Operation() { fencingToken }: IdempotentOperation) {
    return this.coupons.claim(id, fencingToken);
  }

  @Get()
  @ApiOkResponse({ type: CouponDto })
  find(@Param() { id }: CouponId) {
    return this.coupons.left(id);
  }
}
