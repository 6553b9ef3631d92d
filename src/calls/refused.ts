import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { Refused } from '../engine/operation.js';
import type { ProtectedLayer } from '../handlers/protected-handler.js';
import { isInvalidKeyError } from '../keys/key-source.js';
import { isFingerprintUnavailableError } from '../keys/request-body.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';

/** Why a call is refused, beyond the code. */
export interface RefusalReason extends Partial<Pick<Refused, 'retryAfterMs' | 'cause' | 'unmet'>> {
  /** Replace what the table says, if more is known. */
  readonly status?: number | undefined;
  readonly detail?: string;
  readonly retryable?: boolean;
}

/** The exception for a refusal, for every transport. */
export function exceptionOf(
  code: IdempotencyErrorCode,
  { retryAfterMs, cause, unmet, retryable, ...told }: RefusalReason,
  problemBaseUrl: string | undefined,
): IdempotencyException {
  const { status = unmet?.status, detail = unmet?.detail } = told;
  // A strategy with its own refusal gives the same answer for every invalid key.
  const isAboutKey = code === 'IDEMPOTENCY_KEY_INVALID' && isInvalidKeyError(cause);
  return new IdempotencyException(code, {
    retryAfterMs,
    problemBaseUrl,
    cause,
    status,
    members: unmet?.members,
    detail: isAboutKey ? cause.message : detail,
    retryable,
  });
}

/** The refusal for a key source or a fingerprint that failed. */
export function refusalOf(
  error: unknown,
  { refusals }: ProtectedLayer,
): IdempotencyErrorCode | undefined {
  if (isInvalidKeyError(error)) return error.code ?? refusals.invalid ?? 'IDEMPOTENCY_KEY_INVALID';
  if (!isFingerprintUnavailableError(error)) return undefined;
  return error.isUnparsed
    ? 'IDEMPOTENCY_CONTENT_NOT_PARSED'
    : 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE';
}

/** For logs. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the record belongs to another kind of call';
}
