import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/**
 * One call at a time per key, whoever calls, in all processes; nothing is recorded. A caller waits
 * up to `wait`. A holder that dies frees the key when its lease runs out; one that was paused finds
 * its signal aborted, and its fencing token is lower than that of whoever holds the key now.
 */
@IdempotencyStrategy('lock')
export class LockStrategy implements IdempotencyStrategyContract {
  readonly withoutOptions = [
    'ttl',
    'onDuplicate',
    'fingerprint',
    'onError',
    'onAbandoned',
    'recover',
    'transaction',
  ] as const;

  plan({ options }: StrategyContext): StrategyPlan {
    if (options.key === undefined) throw noKey();
    return {
      key: options.key,
      comparesContent: false,
      keepsReply: false,
      perPrincipal: options.principal !== undefined,
      transaction: 'never',
    };
  }
}

function noKey(): IdempotencyConfigurationError {
  return wrongOption(
    'key',
    undefined,
    'where the name of what is locked comes from',
    "Name it, such as { strategy: 'lock', key: param('couponId') }.",
  );
}
