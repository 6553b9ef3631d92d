const BRAND = Symbol.for('nestjs-idempotency:fingerprint-unavailable');

/**
 * The content of a request cannot be read, so that a retry with other content would not be
 * noticed. The operation must not run: the application has to be set up differently.
 */
export class FingerprintUnavailableError extends Error {
  override readonly name = 'FingerprintUnavailableError';

  constructor(problem: FingerprintProblem, options?: ErrorOptions) {
    super(
      `${problem.what}: ${problem.why}. Accepted: a body that was parsed or kept before the operation is claimed. ${problem.remedy} Or set fingerprint to a function of the call, or to false when a retry cannot differ.`,
      options,
    );
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** What could not be read, and what would help. */
export interface FingerprintProblem {
  /** The part of the request. */
  readonly what: string;
  /** What is wrong with it, as a clause. */
  readonly why: string;
  /** What to do, as a sentence. */
  readonly remedy: string;
}

/** True for errors of this class, also from another copy of this package (ESM beside CJS). */
export function isFingerprintUnavailableError(
  error: unknown,
): error is FingerprintUnavailableError {
  return typeof error === 'object' && error !== null && BRAND in error;
}
