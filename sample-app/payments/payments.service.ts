import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import type { BusinessNumber } from '../validation/business-number.js';
import { Payment } from './payment.entity.js';

@Injectable()
export class PaymentsService {
  constructor(@InjectRepository(Payment) private readonly payments: Repository<Payment>) {}

  /** Takes the money; calling it twice takes it twice. */
  async charge(orderId: BusinessNumber, amount: number): Promise<Payment> {
    const payment = this.payments.create({ orderId: String(orderId), amount });
    await this.payments.insert(payment);
    return payment;
  }
}
