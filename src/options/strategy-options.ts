import type { Duration } from '../engine/duration.js';
import type { IdempotentCall } from '../keys/call.js';
import type { KeyFunction, KeySource } from '../keys/key-source.js';

/** Where the key of a row comes from; a list for a key of several columns, in their order. */
export type RowId = KeySource | KeyFunction | readonly (KeySource | KeyFunction)[];

/** Common options that a strategy does not take, by its name. */
export const REFUSED_OPTIONS = {
  token: ['key', 'scope', 'maxAge'],
  version: ['key', 'fingerprint', 'content', 'maxAge'],
  state: ['key', 'fingerprint', 'content', 'maxAge'],
  lock: [
    'ttl',
    'onDuplicate',
    'fingerprint',
    'content',
    'onError',
    'onAbandoned',
    'onRecordFailure',
    'maxAttempts',
    'maxAge',
    'transaction',
    'secondConnection',
    'conflictRetries',
    'returns',
  ],
} as const;

/** Refuses common options by their names: `'my-strategy': MyOptions & Without<'ttl'>`. */
export type Without<Names extends string> = { readonly [Name in Names]?: never };

/** Options of `strategy: 'token'`. */
export interface TokenStrategyOptions {
  /**
   * What the token must have been issued for.
   * @default tokens without a purpose
   */
  readonly purpose?: string;
}

/** Options of `strategy: 'version'`. */
export interface VersionOptions {
  /** What holds the version: an entity, or your own `Resource`. */
  readonly entity: unknown;
  /** Where the row's key comes from; a list for a key of several columns, in their order. */
  readonly id: RowId;
  /** Where the version comes from: {@link ifMatch}, or a source such as `body('version')`. */
  readonly version: KeySource;
  /**
   * `match`: the row must have exactly this version, and gets the next one. `newer`: the row must
   * have an older version, and gets this one.
   * @default 'match'
   */
  readonly mode?: 'match' | 'newer';
  /**
   * The property that holds the version.
   * @default the one with `@VersionColumn()`
   */
  readonly column?: string;
}

/** A state: text, a number, or a member of an enumeration. */
export type State = string | number;

/** Every state with the states that may follow it: `{ created: ['paid', 'cancelled'] }`. */
export type Transitions = Readonly<Record<State, readonly State[]>>;

/** Options of `strategy: 'state'`. */
export interface StateOptions {
  /** What holds the state: an entity, or your own `Resource`. */
  readonly entity: unknown;
  /** Where the row's key comes from; a list for a key of several columns, in their order. */
  readonly id: RowId;
  /** The property that holds the state. */
  readonly column: string;
  /** The state that the row gets. */
  readonly to: State;
  /**
   * The states from which the row may come: a list, or the transitions of the whole machine,
   * defined once for all handlers.
   * @default any lower number than `to`
   */
  readonly from?: readonly State[] | Transitions;
}

/** Options of `strategy: 'queue'`, from `nestjs-idempotency/bullmq`. */
export interface QueueStrategyOptions {
  /** Name of the queue, as in `BullModule.registerQueue()`. */
  readonly queue: string;
  /**
   * The least time that the job stays in the queue before a worker gets it. On a route only.
   * @default 0
   */
  readonly delay?: Duration;
  /**
   * Where a client asks for the result: the `Location` of the reply. On a route only.
   * @default the path of the request, and the id
   */
  readonly location?: (id: string, call: IdempotentCall) => string;
}
