/** What `@Idempotent()` leaves: options on a class; on a handler a list of them, outermost first. */
export const OPTIONS_METADATA = 'nestjs-idempotency:options';
/** The function that `@Idempotent()` has made of a handler. */
export const METHOD_METADATA = 'nestjs-idempotency:method';
/** On the class and the name of a method: it was decorated, whatever has become of it since. */
export const DECORATED_METADATA = 'nestjs-idempotency:decorated';
/** What `@Idempotent()` leaves on what it makes of a generator. */
export const GENERATOR_METADATA = 'nestjs-idempotency:generator';
/** What `@SkipIdempotency()` leaves on a class or a handler. */
export const SKIPPED_METADATA = 'nestjs-idempotency:skipped';
/** What `@IdempotencyStrategy()` leaves on a provider. */
export const STRATEGY_METADATA = 'nestjs-idempotency:strategy';
/** On the interceptor that records: tells it from others in the lists of Nest. */
export const RECORDING_METADATA = 'nestjs-idempotency:recording';
