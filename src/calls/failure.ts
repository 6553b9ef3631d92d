import { HttpException } from '@nestjs/common';
import { type Awaitable, isPending } from '../engine/awaitable.js';
import type { ErrorDecision } from '../options/idempotency.options.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';

/** Conditions that may pass: timeout, conflict, locked, too early, too many requests. */
const PASSING_CONDITIONS: ReadonlySet<number> = new Set([408, 409, 423, 425, 429]);

/** True for a status that a repeat of the same call gets again. */
export function isDeterministic(status: number): boolean {
  return status < 500 && !PASSING_CONDITIONS.has(status);
}

/** The status that Nest's own filter answers an error with. */
export function statusOf(error: unknown): number {
  return error instanceof HttpException ? error.getStatus() : 500;
}

/**
 * Decides what happens to an operation that failed after its handler began. If `onError` itself
 * fails, or returns anything else, nothing is decided and the operation is held.
 */
export function decideOnFailure(
  { onError }: Pick<ProtectedHandler, 'onError'>,
  error: unknown,
  status: number,
): Awaitable<ErrorDecision> {
  if (onError === undefined)
    return error instanceof HttpException && isDeterministic(status) ? 'store' : 'release';
  try {
    const decision = onError(error, status);
    return isPending(decision)
      ? Promise.resolve(decision).then(known, () => 'hold' as const)
      : known(decision);
  } catch {
    return 'hold';
  }
}

function known(decision: ErrorDecision): ErrorDecision {
  return decision === 'release' || decision === 'store' ? decision : 'hold';
}
