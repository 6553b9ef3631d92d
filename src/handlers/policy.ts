import { parseDuration } from '../engine/duration.js';
import type { OperationPolicy } from '../engine/operation.js';
import { DEFAULTS, type IdempotentOptions } from '../options/idempotency.options.js';

/**
 * What the engine is told of every operation of a handler.
 *
 * @throws {@link IdempotencyConfigurationError} for a duration that is none
 */
export function policyOf(options: IdempotentOptions, strategy: string): OperationPolicy {
  return {
    strategy,
    leaseMs: parseDuration('lease', options.lease ?? DEFAULTS.lease),
    retentionMs: parseDuration('ttl', options.ttl ?? DEFAULTS.ttl),
    waitMs: parseDuration('wait', options.wait ?? DEFAULTS.wait, { zero: true }),
    retryAfterMs: parseDuration('retryAfter', options.retryAfter ?? DEFAULTS.retryAfter, {
      zero: true,
    }),
    onDuplicate: options.onDuplicate ?? DEFAULTS.onDuplicate,
    onAbandoned: options.onAbandoned ?? DEFAULTS.onAbandoned,
    onStoreFailure: options.onStoreFailure ?? DEFAULTS.onStoreFailure,
    keepsReply: true,
  };
}
