import { header } from '../keys/key-sources.js';
import { IdempotencyStrategy } from './idempotency-strategy.decorator.js';
import type { IdempotencyStrategyContract, StrategyContext, StrategyPlan } from './strategy.js';

/** The key names the operation: sent by the client, found in the content, or made of it. */
@IdempotencyStrategy('unique-key')
export class UniqueKeyStrategy implements IdempotencyStrategyContract {
  plan({ options }: StrategyContext): StrategyPlan {
    return { key: options.key ?? header(), comparesContent: true, keepsReply: true };
  }
}
