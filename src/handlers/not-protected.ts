import { Logger } from '@nestjs/common';
import { IdempotencyException } from '../operation/idempotency.exception.js';

const logger = new Logger('Idempotency');

/**
 * What a method that carries `@Idempotent()` throws instead of running unprotected. Callers are told
 * that it did not run; why, and what to do, is in the message and in the log.
 *
 * @param place `ClassName.methodName`
 * @param why the reason and the remedy, as the end of a sentence
 */
export function notProtected(place: string, why: string, cause?: unknown): IdempotencyException {
  const code = 'IDEMPOTENCY_NOT_PROTECTED';
  const exception = new IdempotencyException(code, { cause });
  exception.message = `${code}: ${place} carries @Idempotent() and was not run, because ${why}`;
  logger.error(exception.message);
  return exception;
}
