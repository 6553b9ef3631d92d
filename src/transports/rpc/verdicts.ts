import { HttpException } from '@nestjs/common';
import { isNotYet } from '../../calls/failure.js';
import type { Outcome } from '../../calls/value-transport.js';
import type { MessageCode } from '../../engine/events.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { isNotNow } from '../../keys/jobs.js';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import type { Verdict } from './delivery.js';
import type { MessageCall } from './messages.js';
import { isOneWay } from './transport-context.js';

/** Refusals that mean that there is nothing left to do. They complete an event. */
export const SKIPPED: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_DUPLICATE',
  'IDEMPOTENCY_REPLY_NOT_KEPT',
  'IDEMPOTENCY_STATE_CONFLICT',
  'IDEMPOTENCY_VERSION_CONFLICT',
]);
/** Preconditions that may still be met, although nobody knows when. */
const PERHAPS_LATER: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_RESOURCE_NOT_FOUND',
]);
/** Statuses with which pipes and handlers say that the message itself is wrong. */
const WRONG_MESSAGE: ReadonlySet<number> = new Set([400, 422]);

/** An event that ends without a value would end its other handlers. */
export const THROUGH = [undefined];

/** How a call ended that was not processed. */
export interface Unsuccessful {
  readonly error: unknown;
  /** The refusal of this very call: its handler did not run. */
  readonly refusal: IdempotencyException | undefined;
  /** The recorded failure of an earlier delivery. */
  readonly isReplay: boolean;
  /** The record's id, if the handler ran. */
  readonly id: string | undefined;
  /** The handler has failed for the last time that `maxAttempts` allows. */
  readonly isLast: boolean;
}

/** @param outcome what the engine decided; `'none'` if it did not come to that */
export function unsuccessful(error: unknown, outcome: Outcome | 'none'): Unsuccessful {
  const decided = outcome === 'none' ? undefined : outcome;
  const isReplay = decided?.outcome === 'replay';
  const isOwn = outcome === 'none' || decided?.outcome === 'refused' || isReplay;
  return {
    error,
    refusal: isOwn && isIdempotencyError(error) ? error : undefined,
    isReplay,
    id: idOf(decided),
    isLast: isLastRun(decided) && !isNotYet(error) && !isNotNow(error, false),
  };
}

export function idOf(outcome: Outcome): string | undefined {
  return outcome?.outcome === 'execute' ? outcome.claim.id : undefined;
}

/** True if the handler ran for the last time that `maxAttempts` allows. */
export function isLastRun(outcome: Outcome): boolean {
  return outcome?.outcome === 'execute' && outcome.claim.ifFails !== undefined;
}

/** True for a message whose sender waits for what the handler returns. */
export function isAnswered({ context }: MessageCall, { message }: ProtectedHandler): boolean {
  return !message!.isEvent && !isOneWay(context);
}

export function codeOf({ error, isLast }: Unsuccessful): MessageCode {
  if (isLast) return 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED';
  return isIdempotencyError(error) ? error.code : 'HANDLER_FAILED';
}

/** What the queue is told about an event whose handler failed. */
export function verdictOn(error: unknown): Exclude<Verdict, 'nothing' | 'acknowledge'> {
  if (isIdempotencyError(error))
    return error.retryable || PERHAPS_LATER.has(error.code) ? 'requeue' : 'reject';
  const isWrong = error instanceof HttpException && WRONG_MESSAGE.has(error.getStatus());
  return isWrong ? 'reject' : 'requeue';
}
