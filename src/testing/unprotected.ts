import { bypass } from '../operation/handler-run.js';

/**
 * Runs code in which methods that carry `@Idempotent()` are called as if they did not, as unit tests do
 * with objects that they make by `new`. Elsewhere such a call throws `IDEMPOTENCY_NOT_PROTECTED`.
 *
 * @returns what `call` returns
 *
 * @example
 * ```ts
 * const payment = await unprotected(() => new PaymentsController(prices).pay({ orderId: 'A-1' }));
 * ```
 */
export function unprotected<T>(call: () => T): T {
  return bypass.run(true, call);
}
