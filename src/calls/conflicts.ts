import { HttpException } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Claim } from '../engine/claim.js';
import type { OperationPolicy } from '../engine/operation.js';
import { undoneRefusal } from '../engine/refusals.js';
import type { ErrorDecision, IdempotentOptions } from '../options/idempotency.options.js';
import { exceptionOf } from './refused.js';

/** The longest first pause, in milliseconds; then doubled. Those that met must not meet again. */
const FIRST_PAUSE_MS = 10;

/**
 * The database has undone the work of a call, because others changed the same data. It is thrown from the
 * attempt to whatever repeats it, and never leaves this library.
 */
export class Conflict extends Error {
  override readonly name = 'Conflict';

  /**
   * @param shown the error that the caller gets if the call is not repeated
   * @param mayRepeat false if only the caller may do that
   */
  constructor(
    readonly shown: unknown,
    readonly mayRepeat: boolean,
  ) {
    super('The database has undone the work because of others.');
  }
}

/** What is known about a call whose work has failed. */
interface FailedCall {
  readonly claim: Claim;
  readonly policy: OperationPolicy;
  /** What the application and the strategy say about failures. */
  readonly said: readonly IdempotentOptions['onError'][];
  readonly problemBaseUrl: string | undefined;
}

/**
 * Whether work has failed only because of others. The application's own answers are no conflicts, and where it
 * decides about failures it sees the error itself.
 */
export function conflictOf(
  error: unknown,
  { claim, policy, said, problemBaseUrl }: FailedCall,
): Conflict | undefined {
  if (error instanceof HttpException || claim.isConflict?.(error) !== true) return undefined;
  const isDecided = said.some((onError) => onError !== undefined);
  const { code, reason } = undoneRefusal({ why: 'conflict', cause: error }, policy.retryAfterMs);
  const shown = isDecided ? error : exceptionOf(code, reason, problemBaseUrl);
  return new Conflict(shown, claim.hasReachedOut !== true);
}

/** Whether a call runs once more, after so many repetitions. */
export function isRepeated(
  { mayRepeat }: Conflict,
  { conflictRetries = 0 }: OperationPolicy,
  repetitions: number,
): boolean {
  return mayRepeat && repetitions < conflictRetries;
}

export function pauseAfter(repetitions: number): Promise<void> {
  return sleep(Math.random() * FIRST_PAUSE_MS * 2 ** repetitions);
}

/**
 * Attempts a call, and once more while it conflicts with others, as often as it may.
 *
 * @throws what the last attempt has shown
 */
export async function whileConflicting<T>(
  policy: OperationPolicy,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let repetitions = 0; ; repetitions += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      if (!isRepeated(error, policy, repetitions)) throw error.shown;
    }
    await pauseAfter(repetitions);
  }
}

/** The conflict, if the failed operation was released for it. */
export function released(
  conflict: Conflict | undefined,
  decision: ErrorDecision | 'reject' | undefined,
): Conflict | undefined {
  return decision === 'release' ? conflict : undefined;
}
