const BRAND = Symbol.for('nestjs-idempotency:configuration-error');

/** What is wrong with an option, in four parts. */
export interface ConfigurationProblem {
  /** The option as the application writes it, such as `ttl` or `defaults.wait`. */
  readonly option: string;
  /**
   * The value that was found there. The message shortens it, and shows only the kind of an object.
   */
  readonly given: unknown;
  /** What the option takes, to follow the words "Accepted:". */
  readonly accepted: string;
  /** How to fix it, as a sentence. */
  readonly remedy: string;
}

/** An option has a value that is not accepted. Stops the application at boot. */
export class IdempotencyConfigurationError extends Error {
  override readonly name = 'IdempotencyConfigurationError';
  /** The option as the application writes it. */
  readonly option: string;
  /** @internal */
  readonly problem!: ConfigurationProblem;

  constructor(problem: ConfigurationProblem) {
    const { option, given, accepted, remedy } = problem;
    super(`Idempotency option "${option}" is ${describe(given)}. Accepted: ${accepted}. ${remedy}`);
    this.option = option;
    // Not enumerable, so that no log shows it: the value may be a secret.
    Object.defineProperty(this, 'problem', { value: problem, enumerable: false });
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/**
 * What is wrong with an option.
 *
 * @param accepted what the option takes, to follow the words "Accepted:"
 * @param remedy how to fix it, as a sentence
 */
export function wrongOption(
  option: string,
  given: unknown,
  accepted: string,
  remedy = `Correct the ${option}, or leave it out to use the default.`,
): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({ option, given, accepted, remedy });
}

/**
 * Handlers need an optional package that cannot be imported. Such imports are literal and inside `try`, so that a
 * bundler includes what is installed and leaves out what is not.
 *
 * @param handlers in the plural
 */
export function notInstalled(
  handlers: string,
  name: string,
  cause: unknown,
): IdempotencyConfigurationError {
  const error = wrongOption(
    '@Idempotent()',
    `on ${handlers}`,
    `${handlers} where ${name} can be imported`,
    `Install ${name} beside nestjs-idempotency. In a bundle, include it or make it external.`,
  );
  return Object.assign(error, { cause });
}

/** True for errors of this class, even from another copy of this package (ESM beside CJS). */
export function isIdempotencyConfigurationError(
  error: unknown,
): error is IdempotencyConfigurationError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

const LONGEST_SHOWN = 60;

/**
 * Describes a value in a few words, whatever its size: `"10 parsecs"`, `a list of 3`,
 * `a Map object`.
 */
export function describe(given: unknown): string {
  if (typeof given === 'string') {
    return given.length > LONGEST_SHOWN
      ? `${JSON.stringify(given.slice(0, LONGEST_SHOWN))}… (${given.length} characters)`
      : JSON.stringify(given);
  }
  if (typeof given === 'bigint') {
    const digits = String(given);
    return digits.length > LONGEST_SHOWN ? `a bigint of ${digits.length} digits` : `${digits}n`;
  }
  if (typeof given === 'function') {
    return given.name === '' ? 'a function' : `the function ${given.name.slice(0, LONGEST_SHOWN)}`;
  }
  if (typeof given === 'object') return describeObject(given);
  return typeof given === 'symbol' ? 'a symbol' : String(given as number | boolean | undefined);
}

function describeObject(given: object | null): string {
  if (given === null) return 'null';
  if (Array.isArray(given))
    return given.length === 0 ? 'an empty list' : `a list of ${given.length}`;
  const constructor: unknown = given.constructor;
  const name = typeof constructor === 'function' ? constructor.name : '';
  if (name !== '' && name !== 'Object') return `a ${name.slice(0, LONGEST_SHOWN)} object`;
  return Object.keys(given).length === 0 ? 'an empty object' : 'an object';
}
