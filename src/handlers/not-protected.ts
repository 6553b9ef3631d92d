import { Logger } from '@nestjs/common';
import { IdempotencyException } from '../operation/idempotency.exception.js';

const logger = new Logger('Idempotency');

/**
 * The error that a method with `@Idempotent()` throws instead of running unprotected. Callers learn
 * that it did not run. The message and the log say why, and what to do.
 *
 * @param place `ClassName.methodName`
 * @param why the reason and the remedy, as the end of a sentence
 */
export function notProtected(place: string, why: string, cause?: unknown): IdempotencyException {
  return refusal(`${place} has @Idempotent() and was not run, because ${why}`, cause);
}

/**
 * The error for a method that returned an observable. Work that begins with the subscription would not
 * be part of the operation, and its result could not be given to every caller.
 *
 * @param place `ClassName.methodName`
 */
export function observableReturned(place: string): IdempotencyException {
  return refusal(
    `${place} returned an Observable. Nothing has subscribed to it, because its work would not be part of the operation. Return a promise instead: lastValueFrom(observable).`,
  );
}

function refusal(message: string, cause?: unknown): IdempotencyException {
  const code = 'IDEMPOTENCY_NOT_PROTECTED';
  const exception = new IdempotencyException(code, { cause });
  exception.message = `${code}: ${message}`;
  logger.error(exception.message);
  return exception;
}
