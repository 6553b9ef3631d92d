import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { ApiCreatedResponse } from '@nestjs/swagger';
import { body, Idempotent } from 'nestjs-idempotency';
import { ApiProblems } from '../common/problems/api-problems.decorator.js';
import { RECORDS_IN_DATABASE } from '../setup/records/records-in-database.js';
import { PaidByOrderDto, PaidDto, PayByOrderDto, PayDto } from './payments.dto.js';
import { PaymentsService } from './payments.service.js';

@Controller('payments')
export class PaymentsController {
  constructor(private readonly payments: PaymentsService) {}

  /**
   * The client names the operation: a new `Idempotency-Key` for a new payment, the same one for a
   * retry. Payment and record are one commit: whenever a process dies, either both exist or
   * neither.
   */
  @Post()
  @Idempotent({ transaction: RECORDS_IN_DATABASE })
  @ApiCreatedResponse({ type: PaidDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async pay(@Body() { orderId, amount }: PayDto) {
    const { id } = await this.payments.charge(orderId, amount);
    return { id, orderId, amount };
  }

  /** The order number already names the operation, so nobody has to make a key. */
  @Post('by-order')
  @Idempotent({ key: body('orderNo') })
  @ApiCreatedResponse({ type: PaidByOrderDto })
  @ApiProblems(HttpStatus.BAD_REQUEST)
  async payByOrder(@Body() { orderNo, amount }: PayByOrderDto) {
    const { id } = await this.payments.charge(orderNo, amount);
    return { id, orderNo, amount };
  }
}
