import { Body, Controller, Post } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SkipIdempotency } from 'nestjs-idempotency';
import { PaidDto, PayDto } from '../../shop/payments/payments.dto.js';
import { PaymentsService } from '../../shop/payments/payments.service.js';

/** What the shop would do without the library, to be seen beside what it does. */
@ApiExcludeController()
@SkipIdempotency()
@Controller('unprotected')
export class UnprotectedController {
  constructor(private readonly payments: PaymentsService) {}

  /** As `POST /payments`, and every request pays. */
  @Post('payments')
  async pay(@Body() { orderId, amount }: PayDto): Promise<PaidDto> {
    const { id } = await this.payments.charge(orderId, amount);
    return { id, orderId, amount };
  }
}
