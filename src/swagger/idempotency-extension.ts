import type { ProtectedLayer } from '../handlers/protected-handler.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';

/**
 * What an operation publishes as `x-idempotency`. Durations are written as in options: `'24h'`,
 * `'10s'`.
 */
export interface IdempotencyExtension {
  /** Name of the strategy. */
  readonly strategy: string;
  /** Where the key comes from, such as `header Idempotency-Key` or `param id + body.name`. */
  readonly key: string;
  /** False: without a key the operation runs unprotected. */
  readonly required: boolean;
  /** How long a finished operation is answered from its record; absent if nothing is recorded. */
  readonly ttl?: string;
  /** What a duplicate of a finished operation gets; absent if nothing is recorded. */
  readonly onDuplicate?: NonNullable<IdempotentOptions['onDuplicate']>;
  /** How long a call keeps its key after it stopped renewing its lease. */
  readonly lease: string;
  /** How long a duplicate of a running operation waits for it; absent if it does not wait. */
  readonly wait?: string;
  /** How long a caller should wait before the same call may succeed. */
  readonly retryAfter: string;
  /** The layer within this one, if there are several `@Idempotent()`. */
  readonly within?: IdempotencyExtension;
}

/** Describes one or several layers, outermost first. */
export function idempotencyExtension([layer, ...within]: readonly ProtectedLayer[]):
  IdempotencyExtension | undefined {
  if (layer === undefined) return undefined;
  const { key, required, policy, ttlOf } = layer;
  const { keepsReply, onDuplicate, waitMs } = policy;
  const inner = idempotencyExtension(within);
  return {
    strategy: policy.strategy,
    key: key.description,
    required,
    ...(keepsReply && ttlOf === undefined && { ttl: durationText(policy.ttlMs) }),
    ...(keepsReply && { onDuplicate }),
    lease: durationText(policy.leaseMs),
    ...(waitMs > 0 && { wait: durationText(waitMs) }),
    retryAfter: durationText(policy.retryAfterMs),
    ...(inner && { within: inner }),
  };
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;

/**
 * A duration as options write it, in the largest unit of which it is a multiple. One day is 24
 * hours.
 */
export function durationText(ms: number): string {
  for (const [unit, msPerUnit] of Object.entries(UNITS))
    if (ms % msPerUnit === 0 && ms >= msPerUnit && !(unit === 'd' && ms === msPerUnit))
      return `${ms / msPerUnit}${unit}`;
  return `${ms}ms`;
}
