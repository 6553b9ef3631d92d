import { Module } from '@nestjs/common';
import { IdempotencyAdminModule } from 'nestjs-idempotency/admin';
import { OperatorsGuard } from './operators.guard.js';

/** `/idempotency/admin`: what is held or abandoned, and what to do about it. */
@Module({ imports: [IdempotencyAdminModule.register({ guards: [OperatorsGuard] })] })
export class OperatorsModule {}
