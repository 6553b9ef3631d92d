/** Set by `@Idempotent()`: options on a class; on a handler a list of them, outermost first. */
export const OPTIONS_METADATA = 'nestjs-idempotency:options';
/** The function that `@Idempotent()` made from a handler. */
export const METHOD_METADATA = 'nestjs-idempotency:method';
/**
 * Set on a class and the name of a method: it was decorated, even if something has replaced it
 * since.
 */
export const DECORATED_METADATA = 'nestjs-idempotency:decorated';
/** Set by `@Idempotent()` on the function that it makes from a generator. */
export const GENERATOR_METADATA = 'nestjs-idempotency:generator';
/** Set by `@SkipIdempotency()` on a class or a handler. */
export const SKIPPED_METADATA = 'nestjs-idempotency:skipped';
/** Set by `@IdempotencyStrategy()` on a provider. */
export const STRATEGY_METADATA = 'nestjs-idempotency:strategy';
/** Set on the interceptor that records, to recognise it among Nest's interceptors. */
export const RECORDING_METADATA = 'nestjs-idempotency:recording';
