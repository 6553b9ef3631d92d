import { Logger } from '@nestjs/common';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { IdempotencyException } from '../operation/idempotency.exception.js';
import { exceptionOf, type RefusalReason } from './operations.js';

const logger = new Logger('Idempotency');

/** The exception for a refusal. What no caller can mend is told to whoever runs the application. */
export function reportedException(
  scope: string,
  code: IdempotencyErrorCode,
  reason: RefusalReason,
  problemBaseUrl: string | undefined,
): IdempotencyException {
  const exception = exceptionOf(code, reason, problemBaseUrl);
  if (exception.getStatus() === 500)
    logger.error(`${code} on ${scope}: ${messageOf(reason.cause)}`);
  return exception;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the record belongs to another kind of call';
}
