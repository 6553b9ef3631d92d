import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { IdempotentOptions } from '../idempotency.options.js';
import type { KeyDeclaration } from '../keys/key-source.js';

/** A handler as its strategy sees it when the application boots. */
export interface StrategyContext {
  /** `ClassName.methodName`, for errors. */
  readonly handler: string;
  /** The options of the handler, merged over those of its class and the module's defaults. */
  readonly options: IdempotentOptions;
}

/** What a strategy answers, once per handler. */
export interface StrategyPlan {
  /** What the key is. */
  readonly key: KeyDeclaration;
  /** Whether a retry must repeat the content. */
  readonly comparesContent: boolean;
  /** Whether the reply is kept for retries; without it, the strategy is mutual exclusion only. */
  readonly keepsReply: boolean;
  /** When given, only a key that was issued before may be used; else this is the refusal. */
  readonly refuseUnknown?: IdempotencyErrorCode;
}

/**
 * Answers what the key is, what must be true before the handler may run, and what a refusal
 * means. Claim, lease, replay, waiting and recording are the engine's.
 */
export interface IdempotencyStrategyContract {
  /** @throws {@link IdempotencyConfigurationError} for a declaration that cannot work */
  plan(context: StrategyContext): StrategyPlan;
}
