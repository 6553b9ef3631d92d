import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { IdempotencyHealthIndicator } from 'nestjs-idempotency/terminus';
import { HealthController } from './health.controller.js';

@Module({
  imports: [TerminusModule],
  providers: [IdempotencyHealthIndicator],
  controllers: [HealthController],
})
export class HealthModule {}
