import { Module } from '@nestjs/common';
import { IdempotencyModule } from 'nestjs-idempotency';
import { PaymentsController } from './payments.controller.js';

@Module({
  imports: [IdempotencyModule.forRoot({})],
  controllers: [PaymentsController],
})
export class AppModule {}
