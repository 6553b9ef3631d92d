import type { EncryptionOptions } from '../encryption/encryption-options.js';
import type { Duration } from '../engine/duration.js';
import type { AbandonedDecision } from '../engine/operation.js';
import type { Resources } from '../engine/resource.js';
import type { Awaitable, IdempotencyStore } from '../engine/store.js';
import type { SecondConnection } from '../engine/transaction.js';
import type { AbandonedCall, RecoveredReply } from '../operation/recovery.js';
import type { IdempotentCall } from '../keys/call.js';
import type { ContentDeclaration } from '../keys/content.js';
import { KEY_HEADER } from '../keys/header-source.js';
import type { KeyDeclaration } from '../keys/key-source.js';
import type { LabelDeclaration } from '../keys/label.js';
import type { PrincipalFunction } from '../keys/principal.js';
import type { ReplyType, ReturnedClass } from '../replies/known-types.js';
import type {
  CircuitBreakerOptions,
  IdempotencyLimits,
  LockOptions,
  ReplayCacheOptions,
  StoreFactory,
  SweepOptions,
} from './store-options.js';
import type { TokenOptions } from './token-options.js';
import type {
  QueueStrategyOptions,
  REFUSED_OPTIONS,
  StateOptions,
  TokenStrategyOptions,
  VersionOptions,
  Without,
} from './strategy-options.js';

/** What happens to an operation that failed. */
export type ErrorDecision = 'release' | 'store' | 'hold';

/**
 * Strategies by name, each with its own options, and with the common options that it does not take
 * ({@link Without}). An application adds its strategies by interface augmentation.
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
 * The options of `@Idempotent()`: the common ones, and those of the named strategy. `true` marks a
 * strategy without its own options.
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
   * Where the key comes from: a source, a function, or a list of them that must all be present.
   * @default the `Idempotency-Key` header
   */
  key?: KeyDeclaration;
  /**
   * Whether a call without a key is refused (400); `false` runs it unprotected.
   * @default true
   */
  required?: boolean;
  /**
   * How long a finished operation is answered from its record. A function is asked before each call.
   * @default '24h'
   */
  ttl?: Duration | ((call: IdempotentCall) => Awaitable<Duration>);
  /**
   * How long a claim lasts after its owner stops renewing it, every third of it while the handler runs.
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
   * What a duplicate of a finished operation gets: the recorded reply, or 409 `IDEMPOTENCY_DUPLICATE`. While the
   * first call is running, it gets 409 `IDEMPOTENCY_KEY_IN_USE` either way, because that call may still fail.
   * @default 'replay'
   */
  onDuplicate?: 'replay' | 'reject';
  /**
   * What a retry must repeat. A function replaces only the body or the arguments; `false` compares nothing.
   * @default method, route, host and path params, query and body
   */
  fingerprint?: false | ((call: IdempotentCall) => Awaitable<unknown>);
  /**
   * What counts as the content of a call, if that is not the whole body or all arguments: a function of the
   * call, a source such as `arg(0, 'Body')`, or a list of them. It is what a retry must repeat, and what
   * `signature()` signs. For deliveries, which also have a receipt, counters or a connection.
   * @default the body, or the arguments
   */
  content?: ContentDeclaration;
  /**
   * What operators know the operation by, such as an order number: a function of the call, or a source
   * such as `body('orderNo')`. It stands in the record as it is, so keep keys and personal data out of it.
   * At most 200 characters; the rest is cut. A call whose label cannot be read runs without one.
   * @default none
   */
  label?: LabelDeclaration;
  /**
   * What happens to an operation that failed after its handler began: `release` lets a retry run,
   * `store` replays the failure, `hold` waits until someone settles it. A function decides about
   * each failure; `byDefault` is the decision without this option. `error` is `undefined` if the
   * handler itself sent an error status. If the handler succeeded and only its reply failed,
   * `release` means that the reply is not kept: the handler never runs again.
   * @default a 4xx `HttpException` is stored, except 408, 409, 423, 425 and 429; all else is released
   */
  onError?:
    | ErrorDecision
    | ((error: unknown, status: number, byDefault: ErrorDecision) => Awaitable<ErrorDecision>);
  /**
   * What an expired lease means: run again as the next attempt, or hold until someone settles it. A
   * function is called before the operation runs again, and may also return the reply to record
   * ({@link recoveredReply}). While it throws, nothing runs, and a later call asks again. If it is
   * absent and {@link onRecordFailure} is `fail`, the operation is held.
   * @default 'rerun'
   */
  onAbandoned?:
    AbandonedDecision | ((call: AbandonedCall) => Awaitable<AbandonedDecision | RecoveredReply>);
  /**
   * Outside HTTP: the class whose instances the handler returns, or a list of several. A replay gives
   * back instances of it, also deep inside the value; without it, plain objects. A class with `class-transformer` decorators is
   * kept in its plain form. Any other is kept by its properties, without calling its constructor;
   * what needs more than that is a {@link replyType}. Not for handlers of routes, whose replies are
   * recorded as they are sent.
   * @default none
   */
  returns?: ReturnedClass | readonly ReturnedClass[];
  /**
   * How often the operation may be attempted; 1 to 1000. Each attempt that fails counts, in every process, also
   * one whose process died and one whose transaction was undone; one that says "not now" does not. If the last attempt fails, the operation is
   * held until someone settles it; with `afterwards: 'store'` its failure is its result. With `afterwards: 'reject'`,
   * for messages with `acknowledge` and for jobs, the message goes to the dead letters, and every later delivery
   * likewise until the record expires. A message is rejected in any case, and a job fails for good.
   * @default no limit
   */
  maxAttempts?:
    number | { readonly times: number; readonly afterwards: 'hold' | 'store' | 'reject' };
  /**
   * For keys that say when they were made (a UUIDv7, or {@link repeatability}): an older one whose operation
   * is not on record is refused with 412 and never runs. A key without a time is refused with 400. No
   * longer than `ttl`, and a minute less, because clocks differ.
   * @default none, with `repeatability()` the `ttl`
   */
  maxAge?: Duration;
  /**
   * Namespace of the keys. Two handlers with the same scope share their records.
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
   * with this name: either both the effect and its record exist, or neither. The handler writes
   * with `op.manager` or `currentManager(dataSource)`. A duplicate waits for the row up to `wait`.
   * A function names the data source of each call, such as its tenant's; a name that the store does
   * not know refuses the call.
   * @default false
   */
  transaction?: boolean | string | ((call: IdempotentCall) => Awaitable<string>);
  /**
   * With a transaction: what happens if the handler uses the same data source beside it, such as
   * through an injected repository. That work is not undone with the operation, and needs a second
   * connection. `warn` logs it once per handler, `refuse` throws, `join` makes it part of the transaction
   * (repositories, managers, query builders and transactions, which become savepoints), `allow` does nothing.
   * Reads count too. SQLite has one connection, which is always in the transaction.
   * @default 'warn'
   */
  secondConnection?: SecondConnection;
  /**
   * With a transaction: how often a handler runs again within its call after a serialization failure or a
   * deadlock, unless something outside may have happened. 0 to 10; then the caller gets 503.
   * @default 3
   */
  conflictRetries?: number;
  /**
   * For messages of a queue that waits for acknowledgements (RabbitMQ with `noAck: false`): sends
   * them once the outcome is on record. A message that is done, or no longer needs to be done, is
   * acknowledged. An event whose handler failed or is running elsewhere goes back to the queue
   * after `retryAfter`. One that can never succeed is rejected. A message that the handler settles
   * itself is not settled again.
   * @default false
   */
  acknowledge?: boolean;
  /**
   * What happens if the store cannot be reached: the call gets 503, or runs unprotected.
   * @default 'reject'
   */
  onStoreFailure?: 'reject' | 'proceed';
  /**
   * When the bytes of a reply over HTTP leave: with `hold`, once the whole reply is on record; with
   * `through`, as the handler writes them, and only the end waits for the record. If the reply then
   * turns out not to be the operation's, its connection is broken off. Not in a transaction.
   * @default 'hold'
   */
  stream?: 'hold' | 'through';
  /**
   * What happens if the handler has succeeded and the store fails before the reply is on record.
   * `defer`: the reply is sent, and recorded in the background; once the lease has run out it is not
   * sent, as with `fail`, because another attempt may have answered. `fail`: the caller gets 503
   * `IDEMPOTENCY_RESULT_PENDING`, and a retry gets the reply once it is on record; for platforms that
   * freeze or stop a process after its answer. A step whose result cannot be recorded then fails the
   * handler. With `transaction`, neither the effect nor its record exists, and the caller gets 503.
   * @default 'defer'
   */
  onRecordFailure?: 'defer' | 'fail';
}

/** What `forRoot()` takes, and what the factory of `forRootAsync()` returns. */
export interface IdempotencyModuleOptions extends LockOptions {
  /**
   * Where records live. The memory store is for one process and loses its records on restart. With
   * `NODE_ENV=production` you must allow it with `allowMemoryStore`.
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
   * Headers that tell callers apart if the principal is not known, besides `Authorization` and
   * `Cookie`. Another caller with the same key is refused and does not get the reply.
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
   * When calls stop asking a store that fails: after so many failed claims in a row (`failures`), each with
   * a different key, every call is refused with 503 at once, and nothing waits for the store. Every
   * `pause` it is asked whether it answers again. `false`: each call asks, and takes up to
   * {@link storeTimeout} to be refused.
   * @default 5 failures, a pause of '1s'
   */
  circuitBreaker?: false | CircuitBreakerOptions;
  /**
   * The largest reply body that is kept, in bytes. A larger one is sent, but not replayed.
   * @default 1048576
   */
  maxResponseBytes?: number;
  /**
   * Headers and trailers that replays do not repeat, besides those that belong to one message anyway
   * (cookies, traces, rate limits, authentication, CSRF tokens): names, or beginnings of names with
   * `*` at the end, such as `'x-signature-*'`. A replay has the values of its own request, if there
   * are any.
   * @default none
   */
  unrecordedHeaders?: readonly string[];
  /**
   * How many finished operations may wait for a store that fails, in this process. Beyond that,
   * calls with new keys get 503 until the store has caught up. Operations that are already running
   * are still remembered.
   * @default 10000
   */
  maxDeferredCompletions?: number;
  /**
   * How many bytes of replies may wait for a store that fails. Later ones are recorded without reply.
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
   * Keeps finished replies in the process, at most so many `bytes`, so that retries are answered without
   * asking the store. A reply is kept while its record is, and no longer than `maxAge` (`'10s'`): another
   * process may `forget()` the record, and this one is not told. Kept replies are not encrypted.
   * @default none
   */
  replayCache?: ReplayCacheOptions;
  /**
   * Looks for abandoned operations of handlers with `onAbandoned: 'hold'` or a function, and holds or
   * asks, without waiting for a retry: `true`, or `{ every: '1m', batch: 100, pause: '100ms', time: '10s' }`.
   * One process at a time does it. A function is asked without key and principal
   * ({@link AbandonedCall.isSweep}); `rerun` then releases the operation for the next retry.
   * @default false
   */
  sweep?: boolean | SweepOptions;
  /**
   * How long a shutdown waits for operations that still run or are not recorded.
   * @default '5s'
   */
  shutdownTimeout?: Duration;
  /**
   * Encrypts replies and step results with AES-256-GCM before the store sees them.
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
   * How, and for which purposes, tokens of strategy `token` are issued.
   * @default stored tokens of one hour
   */
  tokens?: TokenOptions;
  /**
   * Classes whose instances methods, `run()`, messages and GraphQL fields get back from a record as
   * they were, wherever they are in a value. Make each with {@link replyType}.
   * @default none
   */
  types?: readonly ReplyType[];
  /**
   * What boot does about handlers that change state and have neither `@Idempotent()` nor
   * `@SkipIdempotency()`: nothing, a warning that lists them, or an error that stops the
   * application.
   * @default 'off'
   */
  coverage?: 'off' | 'log' | 'error';
  /** Options for every `@Idempotent()`. Those of classes and handlers override them. */
  defaults?: Omit<IdempotentOptions, 'key' | 'scope' | 'content' | 'returns' | 'ttl'> & {
    ttl?: Duration;
  };
}

/** The defaults of `@Idempotent()`. */
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
  onRecordFailure: 'defer',
  transaction: false,
  secondConnection: 'warn',
  conflictRetries: 3,
  acknowledge: false,
  stream: 'hold',
} as const satisfies IdempotentOptions;

/** The defaults of the module. */
export const MODULE_DEFAULTS = {
  credentialHeaders: ['X-API-Key'],
  header: KEY_HEADER,
  storeTimeout: '2s',
  maxResponseBytes: 1024 * 1024,
  coverage: 'off',
  maxDeferredCompletions: 10_000,
  maxDeferredBytes: 64 * 1024 * 1024,
  sweep: false,
  shutdownTimeout: '5s',
} as const satisfies IdempotencyModuleOptions;
