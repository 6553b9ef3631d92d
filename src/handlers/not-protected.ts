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
  return refusal(`${place} carries @Idempotent() and was not run, because ${why}`, cause);
}

/**
 * What a call is refused with that has answered with an observable. What is done when that is subscribed
 * to would be no part of the operation, and could not be given to every caller.
 *
 * @param place `ClassName.methodName`
 */
export function observableReturned(place: string): IdempotencyException {
  return refusal(
    `${place} has returned an Observable. Nobody has subscribed to it, because its work would not be part of the operation. Return a promise instead: lastValueFrom(observable).`,
  );
}

function refusal(message: string, cause?: unknown): IdempotencyException {
  const code = 'IDEMPOTENCY_NOT_PROTECTED';
  const exception = new IdempotencyException(code, { cause });
  exception.message = `${code}: ${message}`;
  logger.error(exception.message);
  return exception;
}
