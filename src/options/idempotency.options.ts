import type { InjectionToken, OptionalFactoryDependency } from '@nestjs/common';
import type { EncryptionOptions } from '../encryption/encryption-options.js';
import type { Duration } from '../engine/duration.js';
import type { AbandonedDecision } from '../engine/operation.js';
import type { Resources } from '../engine/resource.js';
import type { Awaitable, IdempotencyStore } from '../engine/store.js';
import type { AbandonedCall, RecoveredReply } from '../operation/recovery.js';
import type { IdempotentCall } from '../keys/call.js';
import { KEY_HEADER } from '../keys/header-source.js';
import type { KeyDeclaration } from '../keys/key-source.js';
import type { PrincipalFunction } from '../keys/principal.js';
import type { TokenOptions } from './token-options.js';
import type {
  QueueStrategyOptions,
  REFUSED_OPTIONS,
  StateOptions,
  TokenStrategyOptions,
  VersionOptions,
  Without,
} from './strategy-options.js';

/** What becomes of an operation that failed. */
export type ErrorDecision = 'release' | 'store' | 'hold';

/**
 * Strategies by name, each with the options that it has beside the common ones, and those of the
 * common ones that it does not take ({@link Without}). An application adds its own by interface
 * augmentation.
 */
export interface IdempotencyStrategies {
  'unique-key': true;
  token: TokenStrategyOptions & Without<(typeof REFUSED_OPTIONS.token)[number]>;
  version: VersionOptions & Without<(typeof REFUSED_OPTIONS.version)[number]>;
  state: StateOptions & Without<(typeof REFUSED_OPTIONS.state)[number]>;
  lock: Without<(typeof REFUSED_OPTIONS.lock)[number]>;
  queue: QueueStrategyOptions;
}

/**
 * What `@Idempotent()` takes: the common options, and those of the strategy that is named. `true`
 * stands for a strategy that has no options of its own.
 */
export type IdempotentDeclaration =
  | (IdempotentOptions & { readonly strategy?: 'unique-key' })
  | {
      [Name in keyof IdempotencyStrategies]: IdempotentOptions & {
        readonly strategy: Name;
      } & (IdempotencyStrategies[Name] extends object ? IdempotencyStrategies[Name] : unknown);
    }[keyof IdempotencyStrategies];

/** Options that every strategy has, and the module's `defaults` for them. */
export interface IdempotentOptions {
  /**
   * Name of the strategy.
   * @default 'unique-key'
   */
  strategy?: keyof IdempotencyStrategies;
  /**
   * Where the key comes from: a source, a function, or a list of them of which all must be there.
   * @default the `Idempotency-Key` header
   */
  key?: KeyDeclaration;
  /**
   * Whether a call without a key is refused (400); `false` runs it unprotected.
   * @default true
   */
  required?: boolean;
  /**
   * How long a finished operation is answered from its record.
   * @default '24h'
   */
  ttl?: Duration;
  /**
   * How long a claim survives its owner's silence; renewed every third of it while the handler
   * runs.
   * @default '30s'
   */
  lease?: Duration;
  /**
   * How long a concurrent duplicate waits for the first call's reply; 0 answers 409 at once.
   * @default 0
   */
  wait?: Duration;
  /**
   * What a 409 or 503 tells the client to wait, sent in whole seconds, rounded up.
   * @default '1s'
   */
  retryAfter?: Duration;
  /**
   * What a duplicate of a finished operation gets: the recorded reply, or 409
   * `IDEMPOTENCY_DUPLICATE`. While the first call runs it is 409 `IDEMPOTENCY_KEY_IN_USE` either
   * way, because that one may still fail.
   * @default 'replay'
   */
  onDuplicate?: 'replay' | 'reject';
  /**
   * What a retry must repeat. A function stands for the body (outside HTTP: for the arguments) and
   * nothing else; `false`: nothing at all.
   * @default method, route, host and path params, query and body
   */
  fingerprint?: false | ((call: IdempotentCall) => Awaitable<unknown>);
  /**
   * What becomes of an operation that failed after its handler began: `release` lets a retry
   * run, `store` replays the failure, `hold` stops until someone settles it. A function decides per
   * failure; `byDefault` is what becomes of it without this option. `error` is `undefined` when the
   * handler answered with an error status by itself. When a handler that has succeeded fails only to be answered, `release` means that its reply is not kept: it never runs again.
   * @default a 4xx `HttpException` is stored, except 408, 409, 423, 425 and 429; all else is released
   */
  onError?:
    | ErrorDecision
    | ((error: unknown, status: number, byDefault: ErrorDecision) => Awaitable<ErrorDecision>);
  /**
   * What a lease that ran out means: run again as the next attempt, or hold until someone settles
   * it. A function is asked before the operation runs again; it may also answer with the reply to
   * record ({@link recoveredReply}). While it throws, nothing runs, and a later call asks again.
   * @default 'rerun'
   */
  onAbandoned?:
    AbandonedDecision | ((call: AbandonedCall) => Awaitable<AbandonedDecision | RecoveredReply>);
  /**
   * Namespace of the keys. Two handlers share their records when they are given the same one.
   * @default `METHOD /route/template`
   */
  scope?: string;
  /**
   * Who is calling; part of the namespace. `undefined` is an anonymous caller.
   * @default the module's
   */
  principal?: PrincipalFunction;
  /**
   * Runs claim, handler and record in one SQL transaction, on the store's data source or the one
   * of this name: the effect and its record are there both, or neither. The handler writes with
   * `op.manager` or `currentManager(dataSource)`; a duplicate waits for the row up to `wait`.
   * @default false
   */
  transaction?: boolean | string;
  /**
   * For messages of a queue that waits for acknowledgements (RabbitMQ with `noAck: false`): they are
   * sent here, once what became of the message is on record. What is done, or need not be done any more,
   * is acknowledged; an event whose handler failed or is running elsewhere goes back to the queue
   * after `retryAfter`; what can never succeed is rejected. Anything the handler does itself counts.
   * @default false
   */
  acknowledge?: boolean;
  /**
   * When the store cannot be reached: 503, or run unprotected.
   * @default 'reject'
   */
  onStoreFailure?: 'reject' | 'proceed';
}

/** How much one caller may have; a limit that is left out does not exist. */
export interface IdempotencyLimits {
  /** How many operations of one caller may run at once; 1 to 1000. */
  inFlight?: number;
  /** How many keys a caller may use for the first time within any minute; 1 to 100 000. */
  newKeysPerMinute?: number;
}

/** A store made by a factory with injected dependencies. */
export interface StoreFactory {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (...dependencies: never[]) => Awaitable<IdempotencyStore>;
}

/** What `forRoot()` takes, and what the factory of `forRootAsync()` returns. */
export interface IdempotencyModuleOptions {
  /**
   * Where records live. The memory store is for one process and forgets on restart; with
   * `NODE_ENV=production` it must be allowed by name.
   * @default a `MemoryStore`
   */
  store?: IdempotencyStore | StoreFactory;
  /**
   * Lets a production application start on the memory store.
   * @default false
   */
  allowMemoryStore?: boolean;
  /**
   * Who is calling; part of the namespace of every key.
   * @default `request.user.id`, else `.sub`, else `.userId`
   */
  principal?: PrincipalFunction;
  /**
   * Headers that tell callers apart where the principal is not known, beside `Authorization` and
   * `Cookie`: a foreign caller with the same key is refused instead of getting the reply.
   * @default X-API-Key
   */
  credentialHeaders?: readonly string[];
  /**
   * The request header that carries the key.
   * @default 'Idempotency-Key'
   */
  header?: string;
  /**
   * How long any call of the store may take before it counts as failed.
   * @default '2s'
   */
  storeTimeout?: Duration;
  /**
   * The largest reply body that is kept, in bytes. A larger one is sent, but not replayed.
   * @default 1048576
   */
  maxResponseBytes?: number;
  /**
   * How many ends of operations may wait for a store that fails, in this process. Beyond that, calls
   * with new keys get 503 until the store has caught up; what runs already is remembered all the same.
   * @default 10000
   */
  maxDeferredCompletions?: number;
  /**
   * How many bytes of replies may wait for a store that fails, in this process. Beyond that, what is
   * recorded when the store is back is that the operation is done, without its reply.
   * @default 67108864
   */
  maxDeferredBytes?: number;
  /**
   * How much one caller may have. Beyond it, calls with a new key get 429 `IDEMPOTENCY_LIMIT_EXCEEDED`
   * with `Retry-After`; retries and duplicates of what has begun never do. A caller is known by its
   * principal, else by its credentials; requests with neither count together. Messages, methods and
   * `run()` count where the principal is known. What `strategy: 'lock'` protects alone does not count.
   * @default none
   */
  limits?: IdempotencyLimits;
  /**
   * How long a shutdown waits for operations that still run, or whose end the store does not know yet.
   * @default '5s'
   */
  shutdownTimeout?: Duration;
  /**
   * Seals replies and results of steps with AES-256-GCM before the store sees them.
   * @default none: they are stored as they are
   */
  encryption?: EncryptionOptions;
  /**
   * Where the problem types are documented; the name of the problem is appended.
   * @default none: problem types are URNs
   */
  problemBaseUrl?: string;
  /**
   * Knows the entities of the strategies `version` and `state`.
   * @default the store, if it is a `TypeOrmStore`
   */
  resources?: Resources;
  /**
   * How the tokens of strategy `token` are made, and what for.
   * @default stored tokens of one hour
   */
  tokens?: TokenOptions;
  /**
   * What is done at boot about handlers that change state and carry neither `@Idempotent()` nor
   * `@SkipIdempotency()`: nothing, a warning that lists them, or an error that stops the application.
   * @default 'off'
   */
  coverage?: 'off' | 'log' | 'error';
  /** Options for every `@Idempotent()`, under those of classes and handlers. */
  defaults?: Omit<IdempotentOptions, 'key' | 'scope'>;
}

/** The one table of defaults. */
export const DEFAULTS = {
  strategy: 'unique-key',
  required: true,
  ttl: '24h',
  lease: '30s',
  wait: 0,
  retryAfter: '1s',
  onDuplicate: 'replay',
  onAbandoned: 'rerun',
  onStoreFailure: 'reject',
  transaction: false,
  acknowledge: false,
} as const satisfies IdempotentOptions;

/** The one table of the module's defaults. */
export const MODULE_DEFAULTS = {
  credentialHeaders: ['X-API-Key'],
  header: KEY_HEADER,
  storeTimeout: '2s',
  maxResponseBytes: 1024 * 1024,
  coverage: 'off',
  maxDeferredCompletions: 10_000,
  maxDeferredBytes: 64 * 1024 * 1024,
  shutdownTimeout: '5s',
} as const satisfies IdempotencyModuleOptions;
