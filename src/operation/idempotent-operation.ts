import type { OperationManager, OperationTransaction } from '../engine/transaction.js';
import type { ReturnedClass } from '../replies/known-types.js';

/** What is known about the result of a step. */
export interface StepOptions {
  /**
   * The class whose instances the step returns, or a list of several. A later attempt gets instances of
   * it, as the replay of a handler with {@link IdempotentOptions.returns} does. Classes of the module
   * option `types` need not be named.
   * @default those of the handler's `returns`
   */
  readonly returns?: ReturnedClass | readonly ReturnedClass[];
}

/** The operation that a handler is running: `@Operation()`, or `IdempotencyService.current()`. */
export interface IdempotentOperation<Tx = OperationTransaction> {
  /** The key; `undefined` if the call runs unprotected because it has none. */
  readonly key: string | undefined;
  /** `METHOD /route/template`, or the scope that was given. */
  readonly scope: string;
  /** Who is calling; `undefined` for an anonymous caller. */
  readonly principal: string | undefined;
  /** 1 for the first run, and one more for each run after a failure or a crash. */
  readonly attempt: number;
  /**
   * Grows with every attempt. A downstream system that remembers the highest one it has seen can
   * refuse late writes of an owner that lost its claim. 0 if unprotected.
   */
  readonly fencingToken: number;
  /**
   * What the handler writes with if record and work are one transaction (`transaction: true`): the data
   * layer's own object for a transaction, such as Drizzle's `tx` or Knex's `trx`.
   *
   * @throws Error without a transaction
   */
  readonly tx: Tx;
  /**
   * The same under the name that TypeORM gives it.
   *
   * @throws Error without a transaction
   */
  readonly manager: OperationManager;
  /** Aborted when the lease is lost: another attempt may be running. */
  readonly signal: AbortSignal;
  /**
   * A key for a downstream call: the same on every attempt, and different for each name, principal,
   * scope and key. 64 hexadecimal digits that reveal nothing about the key.
   */
  deriveKey(name: string): string;
  /**
   * An id for what the operation creates: a time-ordered UUIDv7 (RFC 9562) that is the same on
   * every attempt. Used as a primary key, it finds the row that an earlier attempt inserted. Each
   * `name` has its own id; the time in all of them is that of the first call.
   *
   * The first call saves the id before returning it, which is one round trip to the store. More
   * names cost nothing. In a transaction (`transaction: true`) it costs nothing at all, and an
   * attempt that was undone leaves no id behind. An unprotected call gets a new id.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE` if it cannot be saved,
   *   `IDEMPOTENCY_KEY_IN_USE` if the lease was lost
   */
  id(name?: string): Promise<string>;
  /**
   * Runs `fn` once per operation. On a later attempt, and when the name is repeated, it returns
   * what `fn` returned the first time, with its types. Values are kept as replies are; of what cannot
   * be kept, one warning says so, and a later attempt that comes to this step is held. A step that
   * throws is not remembered. If the process was paused and another attempt took over, no further
   * step starts. Names that begin with `idempotency:` are reserved, and a step cannot contain itself.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_KEY_IN_USE` if the lease was lost,
   *   `IDEMPOTENCY_STORE_UNAVAILABLE` if it has expired and the store does not answer,
   *   `IDEMPOTENCY_OUTCOME_UNKNOWN` if an earlier attempt finished the step and its result was not kept,
   *   `IDEMPOTENCY_RECORD_UNREADABLE` if it was kept with a type that is not known any more
   */
  step<T>(name: string, fn: () => T | PromiseLike<T>, options?: StepOptions): Promise<T>;
  /**
   * Holds the operation until an operator settles it with `IdempotencyService.settle()`. It does
   * not run again, and retries get 409 `IDEMPOTENCY_OUTCOME_UNKNOWN`. The reason is for operators;
   * keep keys and personal data out of it.
   */
  hold(reason: string): Promise<void>;
  /** How long the reply will be kept, instead of the handler's `ttl`: milliseconds or `'2h'`. */
  setTtl(ttl: number | string): void;
}
