import { Injectable } from '@nestjs/common';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import type { BusinessNumber } from '../common/validation/business-number.js';
import { Payment } from './payment.entity.js';

@Injectable()
export class PaymentsService {
  constructor(private readonly database: DataSource) {}

  /**
   * Takes the money. Calling it twice takes it twice. Takes part in the caller's transaction, if
   * there is one.
   */
  async charge(orderId: BusinessNumber, amount: number): Promise<Payment> {
    const payments = currentManager(this.database).getRepository(Payment);
    const payment = payments.create({ orderId: String(orderId), amount });
    await payments.insert(payment);
    return payment;
  }
}
