import type { InjectionToken, OptionalFactoryDependency } from '@nestjs/common';
import type { Duration } from '../engine/duration.js';
import type { LockService } from '../engine/lock-service.js';
import type { Awaitable, IdempotencyStore } from '../engine/store.js';

/** A store that a factory makes, with injected dependencies. */
export interface StoreFactory {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (...dependencies: never[]) => Awaitable<IdempotencyStore>;
}

/** Where locks are kept. */
export interface LockOptions {
  /**
   * Where the locks of strategy `lock` are kept: `zookeeperLocks()`, `etcdLocks()`, `storeLocks()` for
   * another store, or your own `LockService`.
   * @default the store
   */
  locks?: LockService;
}

/** How much one caller may have; a limit that is left out does not exist. */
export interface IdempotencyLimits {
  /** How many operations of one caller may run at once; 1 to 1000. */
  inFlight?: number;
  /** How many keys a caller may use for the first time within any minute; 1 to 100 000. */
  newKeysPerMinute?: number;
}

/** When calls stop asking a store that fails; what is left out has its default. */
export interface CircuitBreakerOptions {
  /** After so many failed claims in a row, each with a different key, in this process; 1 to 1000. */
  failures?: number;
  /** How long to wait before the store is asked again. */
  pause?: Duration;
}

/** What is kept of finished replies in the process. */
export interface ReplayCacheOptions {
  /** How much memory they may take; 1024 or more. */
  bytes: number;
  /**
   * How long at most a reply is answered without asking the store.
   * @default '10s'
   */
  maxAge?: Duration;
}

/** The default of `replayCache.maxAge`. */
export const REPLAY_MAX_AGE = '10s' satisfies Duration;

/** The defaults of `circuitBreaker`. */
export const CIRCUIT_DEFAULTS = {
  failures: 5,
  pause: '1s',
} as const satisfies CircuitBreakerOptions;

/** How abandoned operations are looked for; what is left out has its default. */
export interface SweepOptions {
  /** How long to wait between two sweeps. */
  every?: Duration;
  /** How many records a page has; 1 to 1000. */
  batch?: number;
  /** How long to wait between two pages; 0 does not wait. */
  pause?: Duration;
  /** How long a sweep may take. The next one goes on where it ended. */
  time?: Duration;
}

/** The defaults of `sweep: true`. */
export const SWEEP_DEFAULTS = {
  every: '1m',
  batch: 100,
  pause: '100ms',
  time: '10s',
} as const satisfies SweepOptions;
