import { bypass } from '../operation/handler-run.js';
import type { CoverageEntry } from '../handlers/coverage.js';

/** Knows the handlers of an application: its `IdempotencyService`. */
export interface Covered {
  coverage(): readonly CoverageEntry[];
}

/**
 * Fails if a handler changes state and has neither `@Idempotent()` nor `@SkipIdempotency()`.
 *
 * @param except handlers that are allowed, as `coverage()` lists them: `ClassName.methodName`, or
 *   a scope such as `POST /search`
 * @throws Error that lists the handlers. Also throws if `except` names something that is not
 *   among them
 *
 * @example
 * ```ts
 * assertCovered(app.get(IdempotencyService), { except: ['POST /search'] });
 * ```
 */
export function assertCovered(
  service: Covered,
  { except = [] }: { readonly except?: readonly string[] } = {},
): void {
  const missing = service.coverage().filter(({ protection }) => protection === 'none');
  const isNamed = ({ name, scopes }: CoverageEntry): boolean =>
    except.includes(name) || scopes.some((scope) => except.includes(scope));
  const stale = except.filter(
    (given) => !missing.some(({ name, scopes }) => name === given || scopes.includes(given)),
  );
  if (stale.length > 0)
    throw new Error(`No handler without protection is called ${stale.join(' or ')}: remove it.`);
  const left = missing.filter((entry) => !isNamed(entry));
  if (left.length === 0) return;
  const lines = left.map(({ name, scopes }) => `  ${name} (${scopes.join(', ')})`);
  throw new Error(
    `These handlers change state without @Idempotent() or @SkipIdempotency():\n${lines.join('\n')}`,
  );
}

/**
 * Runs code that calls methods with `@Idempotent()` as if they did not have it. For unit tests,
 * which create objects with `new`. Elsewhere such a call throws `IDEMPOTENCY_NOT_PROTECTED`.
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
