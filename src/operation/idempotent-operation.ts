import type { OperationManager } from '../engine/transaction.js';

/** The operation that a handler works on: `@Operation()`, or `IdempotencyService.current()`. */
export interface IdempotentOperation {
  /** The key; `undefined` when the call runs unprotected because it has none. */
  readonly key: string | undefined;
  /** `METHOD /route/template`, or the scope that was given. */
  readonly scope: string;
  /** Who is calling; `undefined` for an anonymous caller. */
  readonly principal: string | undefined;
  /** 1 at first, one more whenever a retry runs after a failure or a crash. */
  readonly attempt: number;
  /**
   * Grows with every attempt. A downstream system that remembers the highest one it saw can
   * refuse the writes of an owner that was paused and overtaken. 0 when unprotected.
   */
  readonly fencingToken: number;
  /**
   * What the handler writes with when record and work are one transaction (`transaction: true`).
   *
   * @throws Error without a transaction: there is nothing to be part of
   */
  readonly manager: OperationManager;
  /** Aborted when the lease is lost: another attempt may be running. */
  readonly signal: AbortSignal;
  /**
   * A key for a downstream call: the same on every attempt, another one for every name,
   * principal, scope and key. 64 hexadecimal digits; tells nothing about the key.
   */
  deriveKey(name: string): string;
  /**
   * An id for what the operation creates: a time-ordered UUIDv7 (RFC 9562), the same on every
   * attempt and for every retry, so that a primary key meets the insert that an earlier attempt
   * had made. Another one for every `name`; the time in all of them is that of the first call.
   *
   * The first call saves it before it answers, which is one round trip to the store; more names
   * cost none. In a transaction (`transaction: true`) it costs none at all, and an attempt that
   * was undone leaves no id behind. Unprotected, it is a new id.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE` when it cannot be saved,
   * `IDEMPOTENCY_KEY_IN_USE` when the lease was lost
   */
  id(name?: string): Promise<string>;
  /**
   * Runs `fn` once per operation: on a later attempt, and when the name is repeated, it returns
   * what `fn` returned then, with its types. A step that throws is not remembered. An attempt
   * whose process was paused until another one took over does not begin a step any more.
   * Names that begin with `idempotency:` are taken, and a step cannot contain itself.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_KEY_IN_USE` when the lease was lost,
   * `IDEMPOTENCY_STORE_UNAVAILABLE` when it has run out and the store does not answer
   */
  step<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T>;
  /**
   * Puts the operation into an operator's hands, at once: it is not run again, and retries are
   * answered 409 `IDEMPOTENCY_OUTCOME_UNKNOWN` until `IdempotencyService.settle()`. The reason
   * is for operators; keep keys and personal data out of it.
   */
  hold(reason: string): Promise<void>;
  /** How long the reply will be kept, instead of the handler's `ttl`: milliseconds or `'2h'`. */
  setTtl(ttl: number | string): void;
}
