import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { REFUSED_OPTIONS } from '../options/strategy-options.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/**
 * One call at a time per key, from all callers and in all processes. Nothing is recorded. A caller
 * waits up to `wait`. If a holder dies, the key is free once its lease expires. If it was paused,
 * its signal is aborted, and its fencing token is lower than that of the next holder.
 */
@IdempotencyStrategy('lock')
export class LockStrategy implements IdempotencyStrategyContract {
  readonly withoutOptions = REFUSED_OPTIONS.lock;

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
    'a source for the name of the lock',
    "Name it, such as { strategy: 'lock', key: param('couponId') }.",
  );
}
