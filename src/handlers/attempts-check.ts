import { wrongOption } from '../engine/configuration-error.js';
import type { AttemptLimit, OperationPolicy } from '../engine/operation.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';

const MOST_ATTEMPTS = 1_000;

/**
 * What `maxAttempts` says.
 *
 * @throws {@link IdempotencyConfigurationError} if it is not valid, or could never take effect
 */
export function attemptsOf({
  maxAttempts: given,
  onError,
  onAbandoned,
}: IdempotentOptions): AttemptLimit | undefined {
  if (given === undefined) return undefined;
  const limit: unknown = typeof given === 'number' ? { times: given, afterwards: 'hold' } : given;
  if (!isAttemptLimit(limit))
    throw wrongOption(
      'maxAttempts',
      given,
      `an integer from 1 to ${MOST_ATTEMPTS}, or { times, afterwards } with afterwards: 'hold', 'store' or 'reject'`,
    );
  const endsAnyway = onError === 'store' || onError === 'hold';
  if (endsAnyway && onAbandoned === 'hold')
    throw wrongOption(
      'maxAttempts',
      given,
      `nothing with onError: '${onError}' and onAbandoned: 'hold'`,
      'With these two, the first attempt is always the last one. Remove one of the three.',
    );
  return limit;
}

function isAttemptLimit(limit: unknown): limit is AttemptLimit {
  if (typeof limit !== 'object' || limit === null) return false;
  const { times, afterwards, ...others } = limit as Partial<AttemptLimit>;
  return (
    Number.isInteger(times) &&
    times! >= 1 &&
    times! <= MOST_ATTEMPTS &&
    ['hold', 'store', 'reject'].includes(afterwards!) &&
    Object.keys(others).length === 0
  );
}

/**
 * @param hasDeadLetters true where what is rejected is kept, such as among the failed jobs of a queue
 * @throws {@link IdempotencyConfigurationError} for `afterwards: 'reject'` where there are no dead letters
 */
export function checkAttempts({ maxAttempts }: OperationPolicy, hasDeadLetters: boolean): void {
  if (maxAttempts?.afterwards === 'reject' && !hasDeadLetters)
    throw wrongOption(
      'maxAttempts',
      "afterwards: 'reject'",
      "afterwards: 'hold' or 'store' on handlers without dead letters",
      "Only RabbitMQ and queues of jobs have dead letters. Set `acknowledge: true` on the handler of a message, or afterwards: 'hold'.",
    );
}
