import { HttpException, Logger } from '@nestjs/common';
import { type Awaitable, chain, isPending } from '../engine/awaitable.js';
import type { Claim, LastDecision } from '../engine/claim.js';
import { allFailed, failedWith } from '../engine/story.js';
import { isIdempotencyError } from '../operation/idempotency.exception.js';
import type { ErrorDecision, IdempotentOptions } from '../options/idempotency.options.js';

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

/** What a transport does with failures, unless the application or the strategy decides. */
export interface FailureForm {
  statusOf(error: unknown): number;
  byDefault(error: unknown, status: number): ErrorDecision;
}

/** For every transport that has none of its own. */
export const FAILURES: FailureForm = {
  statusOf,
  byDefault: (error, status) =>
    error instanceof HttpException && isDeterministic(status) ? 'store' : 'release',
};

/**
 * What happens to an operation whose handler failed, once its last attempt has: it would be released,
 * but nothing may run again.
 */
export function orLast(
  decision: ErrorDecision,
  { ifFails }: Pick<Claim, 'ifFails'>,
  error: unknown,
): ErrorDecision | 'reject' {
  const isLast = decision === 'release' && ifFails !== undefined && !isNotYet(error);
  return isLast ? ifFails : decision;
}

/**
 * True if a protected method that the handler called could not run yet: another call has its key, or
 * the store is down. Nothing has failed, so the attempt does not count.
 */
export function isNotYet(error: unknown): boolean {
  return isIdempotencyError(error) && error.retryable;
}

/** Why an operation is held after a failure. For operators. */
export function reasonOf(
  decided: ErrorDecision | undefined,
  { attempt, ifFails }: Pick<Claim, 'attempt' | 'ifFails'>,
  status: number,
): string {
  return decided === 'hold' ? failedWith(status, ifFails !== undefined) : allFailed(attempt);
}

/** Tells the log that an operation will not be attempted again. */
export function logExhausted(scope: string, then: LastDecision | undefined): void {
  const what =
    then === 'store'
      ? 'Its last failure is its result'
      : then === 'reject'
        ? 'Every later call is refused'
        : 'It is held until someone settles it';
  logger.error(
    `IDEMPOTENCY_ATTEMPTS_EXHAUSTED on ${scope}: an operation failed in its last attempt. ${what}.`,
  );
}

const logger = new Logger('Idempotency');

/** What handlers of `@golevelup/nestjs-rabbitmq` return to give a message back. */
export interface Nack {
  /** True: to its queue. False: to the dead letters, if there are any. */
  readonly requeue: boolean;
}

/**
 * True for a returned value that says that the work has to be done again. It may come from a protected
 * method that a handler calls. Told by the name of its class, because the package need not be installed.
 */
export function isNack(value: unknown): value is Nack {
  if (typeof value !== 'object' || value === null) return false;
  try {
    let type: unknown = value.constructor;
    for (; typeof type === 'function'; type = Object.getPrototypeOf(type))
      if (type.name === 'Nack') return typeof (value as Partial<Nack>).requeue === 'boolean';
  } catch {
    // The work was done, whatever an accessor of its result throws.
  }
  return false;
}

type OnError = IdempotentOptions['onError'];

/**
 * Decides what happens to an operation that failed after its handler began. If a function itself
 * fails, or returns anything else, nothing is decided and the operation is held.
 *
 * @param said what the application and the strategy say, the last word first. Each function is told
 *   what happens without it
 */
export function decideOnFailure(
  said: readonly OnError[],
  error: unknown,
  status: number,
  byDefault: ErrorDecision,
): Awaitable<ErrorDecision> {
  const at = said.findIndex((onError) => onError !== undefined);
  if (at === -1) return byDefault;
  const onError = said[at]!;
  if (typeof onError !== 'function') return onError;
  return chain(decideOnFailure(said.slice(at + 1), error, status, byDefault), (otherwise) =>
    asked(() => onError(error, status, otherwise)),
  );
}

function asked(ask: () => Awaitable<ErrorDecision>): Awaitable<ErrorDecision> {
  try {
    const decision = ask();
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
