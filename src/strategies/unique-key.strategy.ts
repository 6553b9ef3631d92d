import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { header, messageId } from '../keys/key-sources.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/** The key names the operation: sent by the client, found in the content, or made of it. */
@IdempotencyStrategy('unique-key')
export class UniqueKeyStrategy implements IdempotencyStrategyContract {
  plan({ kind, options }: StrategyContext): StrategyPlan {
    if (kind === 'method' && options.key === undefined) throw noKey();
    const key = options.key ?? (kind === 'rpc' ? messageId() : header());
    return { key, comparesContent: true, keepsReply: true };
  }
}

function noKey(): IdempotencyConfigurationError {
  return wrongOption(
    'key',
    undefined,
    'on a method that no request calls, where in its arguments the key is',
    "Name it, such as { key: arg(0, 'orderNo') }.",
  );
}
