import { Module } from '@nestjs/common';
import { PaymentsModule } from '../../shop/payments/payments.module.js';
import { UnprotectedController } from './unprotected.controller.js';

@Module({ imports: [PaymentsModule], controllers: [UnprotectedController] })
export class UnprotectedModule {}
