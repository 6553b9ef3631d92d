import type { Duration } from '../engine/duration.js';
import type { IdempotentCall } from '../keys/call.js';
import type { KeyFunction, KeySource } from '../keys/key-source.js';

/** Where the key of a row comes from; a list for a key of several columns, in their order. */
export type RowId = KeySource | KeyFunction | readonly (KeySource | KeyFunction)[];

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
  /** What has the version: an entity, or a `Resource` of your own. */
  readonly entity: unknown;
  /** Where the row's key comes from; a list for a key of several columns, in their order. */
  readonly id: RowId;
  /** Where the version comes from: {@link ifMatch}, or a source such as `body('version')`. */
  readonly version: KeySource;
  /**
   * `match`: the row has exactly this version, and gets the next one. `newer`: the row has an
   * older version than this one, and gets this one.
   * @default 'match'
   */
  readonly mode?: 'match' | 'newer';
  /**
   * The property that holds the version.
   * @default the one with `@VersionColumn()`
   */
  readonly column?: string;
}

/** What a state is: a member of an enumeration, text or a number. */
export type State = string | number;

/** Every state with those that may follow it: `{ created: ['paid', 'cancelled'] }`. */
export type Transitions = Readonly<Record<State, readonly State[]>>;

/** Options of `strategy: 'state'`. */
export interface StateOptions {
  /** What has the state: an entity, or a `Resource` of your own. */
  readonly entity: unknown;
  /** Where the row's key comes from; a list for a key of several columns, in their order. */
  readonly id: RowId;
  /** The property that holds the state. */
  readonly column: string;
  /** The state that the row gets. */
  readonly to: State;
  /**
   * The states from which it may: a list, or the transitions of the whole machine, given once for
   * all handlers.
   * @default any lower number than `to`
   */
  readonly from?: readonly State[] | Transitions;
}

/** Options of `strategy: 'queue'`, which `nestjs-idempotency/bullmq` brings. */
export interface QueueStrategyOptions {
  /** Name of the queue, as `BullModule.registerQueue()` has it. */
  readonly queue: string;
  /**
   * How long the job stays in the queue at least before a worker gets it. On a route only.
   * @default 0
   */
  readonly delay?: Duration;
  /**
   * Where a client asks for the result: the `Location` of the reply. On a route only.
   * @default the path of the request, and the id
   */
  readonly location?: (id: string, call: IdempotentCall) => string;
}
