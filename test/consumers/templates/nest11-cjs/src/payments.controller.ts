import { Body, Controller, Get, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';

export interface Payment {
  id: number;
  orderId: string;
  amount: number;
}

@Controller('payments')
export class PaymentsController {
  private executions = 0;

  @Post()
  @Idempotent()
  create(@Body() { orderId, amount }: Omit<Payment, 'id'>): Payment {
    this.executions += 1;
    return { id: this.executions, orderId, amount };
  }

  @Get('executions')
  count(): { executions: number } {
    return { executions: this.executions };
  }
}
