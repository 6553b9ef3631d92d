import type { ProtectedLayer } from '../handlers/protected-handler.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';

/**
 * What an operation publishes as `x-idempotency`. Durations are written as options are: `'24h'`,
 * `'10s'`.
 */
export interface IdempotencyExtension {
  /** Name of the strategy. */
  readonly strategy: string;
  /** Where the key comes from, such as `header Idempotency-Key` or `param id + body.name`. */
  readonly key: string;
  /** False: without a key the operation runs unprotected. */
  readonly required: boolean;
  /** How long a finished operation is answered from its record; absent when nothing is recorded. */
  readonly ttl?: string;
  /** What a duplicate of a finished operation gets; absent when nothing is recorded. */
  readonly onDuplicate?: NonNullable<IdempotentOptions['onDuplicate']>;
  /** How long a call that fell silent keeps its key. */
  readonly lease: string;
  /** How long a duplicate of a running operation waits for it; absent when it does not. */
  readonly wait?: string;
  /** What a caller is told to wait before the same call may succeed. */
  readonly retryAfter: string;
  /** The layer within this one, when there are several `@Idempotent()`. */
  readonly within?: IdempotencyExtension;
}

/** Of one layer or several, the outermost first. */
export function idempotencyExtension([layer, ...within]: readonly ProtectedLayer[]):
  IdempotencyExtension | undefined {
  if (layer === undefined) return undefined;
  const { key, required, policy } = layer;
  const { keepsReply, onDuplicate, waitMs } = policy;
  const inner = idempotencyExtension(within);
  return {
    strategy: policy.strategy,
    key: key.description,
    required,
    ...(keepsReply && { ttl: durationText(policy.ttlMs), onDuplicate }),
    lease: durationText(policy.leaseMs),
    ...(waitMs > 0 && { wait: durationText(waitMs) }),
    retryAfter: durationText(policy.retryAfterMs),
    ...(inner && { within: inner }),
  };
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const;

/** As options write it, in the largest unit that it is a multiple of; one day is 24 hours. */
export function durationText(ms: number): string {
  for (const [unit, msPerUnit] of Object.entries(UNITS))
    if (ms % msPerUnit === 0 && ms >= msPerUnit && !(unit === 'd' && ms === msPerUnit))
      return `${ms / msPerUnit}${unit}`;
  return `${ms}ms`;
}
