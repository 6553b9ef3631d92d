/** Token of the store, an {@link IdempotencyStore}. */
export const IDEMPOTENCY_STORE = Symbol.for('nestjs-idempotency:store');
/** Token of the clock that measures leases and waits in this process; tests override it. */
export const IDEMPOTENCY_CLOCK = Symbol.for('nestjs-idempotency:clock');
