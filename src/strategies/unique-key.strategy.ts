import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { header, messageId } from '../keys/key-sources.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/**
 * The key names the operation. The client sends it, or it is taken or computed from the content.
 */
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
    'a source that reads the arguments, because no request calls this method',
    "Name it, such as { key: arg(0, 'orderNo') }.",
  );
}
