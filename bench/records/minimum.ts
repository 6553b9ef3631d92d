import type { Awaitable } from 'nestjs-idempotency/contracts';

/**
 * What one writes in ten minutes: claims a key and keeps a value. No lease, no comparison of
 * content, no status or headers, no bound: the least that a first call can cost.
 */
export interface Minimum {
  /** True when the key is the caller's now. */
  claim(key: string): Awaitable<boolean>;
  /** The value of a key that was claimed before; `undefined` while it is not there. */
  find(key: string): Awaitable<unknown>;
  keep(key: string, value: unknown): Awaitable<void>;
}
