/** What `@Idempotent()` leaves on a handler or a class. */
export const OPTIONS_METADATA = 'nestjs-idempotency:options';
/** What `@IdempotencyStrategy()` leaves on a provider. */
export const STRATEGY_METADATA = 'nestjs-idempotency:strategy';
