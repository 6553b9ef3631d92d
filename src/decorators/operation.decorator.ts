import { createParamDecorator } from '@nestjs/common';
import { handlerRuns } from '../operation/handler-run.js';
import type { IdempotentOperation } from '../operation/idempotent-operation.js';

/**
 * The operation that the handler is running, as an {@link IdempotentOperation}; `undefined` on a
 * handler without `@Idempotent()`.
 *
 * @example
 * ```ts
 * @Idempotent()
 * @Post('payments')
 * pay(@Body() dto: PayDto, @Operation() op: IdempotentOperation) {
 *   return this.provider.charge(dto, { idempotencyKey: op.deriveKey('charge') });
 * }
 * ```
 */
export const Operation: () => ParameterDecorator = createParamDecorator(
  (): IdempotentOperation | undefined => handlerRuns.getStore()?.operation,
);
