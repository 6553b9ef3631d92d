import {
  describe as describeValue,
  IdempotencyConfigurationError,
  isIdempotencyConfigurationError,
} from '../../src/engine/configuration-error.js';
import { IdempotencyException, isIdempotencyError } from '../../src/index.js';
import { InvalidKeyError, isInvalidKeyError } from '../../src/keys/key-source.js';

describe('a configuration error', () => {
  const error = new IdempotencyConfigurationError({
    option: 'ttl',
    given: '10 parsecs',
    accepted: "a duration such as '24h'",
    remedy: 'Give a unit.',
  });

  it('says option, value, what is accepted and the remedy', () => {
    expect(error.message).toBe(
      'Idempotency option "ttl" is "10 parsecs". Accepted: a duration such as \'24h\'. Give a unit.',
    );
    expect(error.option).toBe('ttl');
    expect(error.name).toBe('IdempotencyConfigurationError');
  });

  it('is told by a brand that both copies of the package know', () => {
    const brand = Symbol.for('nestjs-idempotency:configuration-error');
    expect(isIdempotencyConfigurationError(error)).toBe(true);
    expect(isIdempotencyConfigurationError(Object.assign(new Error('a'), { [brand]: true }))).toBe(
      true,
    );
    for (const other of [new Error('a'), undefined, null, 'a']) {
      expect(isIdempotencyConfigurationError(other)).toBe(false);
    }
  });

  it.each([
    ['ten', '"ten"'],
    ['x'.repeat(1e6), `"${'x'.repeat(60)}"… (1000000 characters)`],
    [7, '7'],
    [NaN, 'NaN'],
    [7n, '7n'],
    [10n ** 100n, 'a bigint of 101 digits'],
    [true, 'true'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('secret'), 'a symbol'],
    [function pay() {}, 'the function pay'],
    [() => 1, 'a function'],
    [[], 'an empty list'],
    [Array(1e6), 'a list of 1000000'],
    [{}, 'an empty object'],
    [{ password: 'secret' }, 'an object'],
    [Object.create(null), 'an empty object'],
    [new Map([['password', 'secret']]), 'a Map object'],
  ])('shows %# shortly', (given, shown) => {
    expect(describeValue(given)).toBe(shown);
  });
});

describe('an invalid key', () => {
  it('is told by a brand that both copies of the package know', () => {
    const brand = Symbol.for('nestjs-idempotency:invalid-key');
    expect(isInvalidKeyError(new InvalidKeyError('a'))).toBe(true);
    expect(isInvalidKeyError(Object.assign(new Error('a'), { [brand]: true }))).toBe(true);
    expect(isInvalidKeyError(new Error('a'))).toBe(false);
    expect(isInvalidKeyError(undefined)).toBe(false);
  });
});

describe('a refusal', () => {
  it('is told by a brand that both copies of the package know', () => {
    const brand = Symbol.for('nestjs-idempotency:exception');
    expect(isIdempotencyError(new IdempotencyException('IDEMPOTENCY_KEY_REUSED'))).toBe(true);
    expect(isIdempotencyError(Object.assign(new Error('a'), { [brand]: true }))).toBe(true);
    expect(isIdempotencyError(new Error('a'))).toBe(false);
    expect(isIdempotencyError(undefined)).toBe(false);
  });
});
