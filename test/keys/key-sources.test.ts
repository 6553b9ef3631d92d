import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import { type BodyPath, InvalidKeyError, type KeySource } from '../../src/keys/key-source.js';
import { body, keySource, param, principal, query } from '../../src/keys/key-sources.js';
import { callOf } from './call.js';

class CreatePaymentDto {
  orderNo!: string;
  amount!: number;
  customer?: { id: number; address: { city: string } };
  lines!: { sku: string }[];
  paidAt!: Date;
  replaces?: CreatePaymentDto;
}

type Accepts<Path> = Path extends BodyPath<CreatePaymentDto> ? true : false;

/** What `body('part')` makes of a value. */
function partOf(value: unknown): unknown {
  return body('part').read(callOf({ body: { part: value } }));
}

describe('a part of a key', () => {
  it.each([
    ['text', 'A-1', 'A-1'],
    ['text of 255 characters', 'x'.repeat(255), 'x'.repeat(255)],
    ['text beyond ASCII', 'Gr\u00fc\u00dfe \ud83d\ude00', 'Gr\u00fc\u00dfe \ud83d\ude00'],
    ['text with blanks around it', ' a ', ' a '],
    ['a number', 12.5, '12.5'],
    ['zero', 0, '0'],
    ['minus zero', -0, '0'],
    ['a bigint', 12345678901234567890n, '12345678901234567890'],
    ['true', true, 'true'],
    ['false', false, 'false'],
  ])('may be %s', (_, value, key) => {
    expect(partOf(value)).toBe(key);
  });

  it('is the same for a number and its digits', () => {
    expect(partOf(1)).toBe(partOf('1'));
  });

  it.each([undefined, null])('is missing when it is %s', (value) => {
    expect(partOf(value)).toBeUndefined();
  });

  it.each([
    ['an empty string', ''],
    ['256 characters', 'x'.repeat(256)],
    ['ten thousand characters', 'x'.repeat(10_000)],
    ['NUL', 'a\u0000'],
    ['a line break', 'a\n'],
    ['a unit separator', 'a\u001fb'],
    ['DEL', 'a\u007f'],
    ['C1', 'a\u009f'],
    ['a high surrogate alone', 'a\ud800'],
    ['a low surrogate alone', '\udc00a'],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['a bigint of 256 digits', 10n ** 255n],
    ['an object', { id: 1 }],
    ['an empty object', {}],
    ['a list', ['a']],
    ['a date', new Date(0)],
    ['bytes', Buffer.from('a')],
    ['a function', () => 'a'],
    ['a symbol', Symbol('a')],
  ])('is refused when it is %s', (_, value) => {
    expect(() => partOf(value)).toThrow(InvalidKeyError);
  });

  it('is named in the error, but never shown', () => {
    expect(() => partOf('secret\n')).toThrow(
      'The idempotency key from body.part contains control characters or lone surrogates.',
    );
  });
});

describe('body()', () => {
  const call = callOf({ body: { orderNo: 'A-1', customer: { id: 7 }, lines: [{ sku: 's' }] } });

  it('reads a member, also one inside of another', () => {
    expect(body<CreatePaymentDto>('orderNo').read(call)).toBe('A-1');
    expect(body<CreatePaymentDto>('customer', 'id').read(call)).toBe('7');
    expect(body<CreatePaymentDto>('lines', '0', 'sku').read(call)).toBe('s');
    expect(body<CreatePaymentDto>('customer', 'id').description).toBe('body.customer.id');
  });

  it('accepts only what the type has', () => {
    const accepted: Accepts<
      | ['orderNo']
      | ['paidAt']
      | ['customer', 'id']
      | ['customer', 'address', 'city']
      | ['lines', '0', 'sku']
      | ['replaces', 'orderNo']
    > = true;
    const refused: [
      Accepts<['orderno']>,
      Accepts<['customer', 'name']>,
      Accepts<['orderNo', 'length']>,
      Accepts<['paidAt', 'getTime']>,
      Accepts<['lines', 'sku']>,
      Accepts<[]>,
    ] = [false, false, false, false, false, false];
    expect([accepted, ...refused]).toHaveLength(7);
  });

  it.each([
    ['a missing member', ['x']],
    ['a member of a missing one', ['x', 'y']],
    ['a member of text', ['orderNo', 'length']],
    ['the prototype', ['__proto__']],
    ['the constructor', ['constructor', 'name']],
    ['a method', ['toString']],
    ['the prototype of a member', ['customer', '__proto__', 'constructor']],
  ] as [string, [string, ...string[]]][])('has no key for %s', (_, path) => {
    expect(body(...path).read(call)).toBeUndefined();
  });

  it.each([undefined, null, 'text', 7])('has no key when the body is %p', (value) => {
    expect(body('orderNo').read(callOf({ body: value }))).toBeUndefined();
  });

  it('reads __proto__ where the client has sent it as a member', () => {
    const sent: unknown = JSON.parse('{"__proto__": "p"}');
    expect(body('__proto__').read(callOf({ body: sent }))).toBe('p');
    expect(body('admin').read(callOf({ body: JSON.parse('{"__proto__":{"admin":1}}') }))).toBe(
      undefined,
    );
  });

  it('is refused at boot without a name, or with an empty one', () => {
    const untyped = body as (...path: unknown[]) => KeySource;
    for (const path of [[], [''], ['a', ''], [1], [undefined]]) {
      expect(() => untyped(...path)).toThrow(IdempotencyConfigurationError);
    }
  });
});

describe('param() and query()', () => {
  it('read the request line', () => {
    const call = callOf({ params: { id: '7' }, query: { on: 'x' } });
    expect(param('id').read(call)).toBe('7');
    expect(query('on').read(call)).toBe('x');
    expect([param('id').readsOnlyHead, query('on').readsOnlyHead]).toEqual([true, true]);
    expect(body('id').readsOnlyHead).toBe(false);
  });

  it('have no key where there is none', () => {
    expect(param('constructor').read(callOf())).toBeUndefined();
    expect(query('__proto__').read(callOf())).toBeUndefined();
    expect(query('on').read(callOf({ query: undefined }))).toBeUndefined();
  });

  it('refuse a query parameter that is sent twice, or as an object', () => {
    expect(() => query('on').read(callOf({ query: { on: ['a', 'b'] } }))).toThrow(InvalidKeyError);
    expect(() => query('on').read(callOf({ query: { on: { a: 'b' } } }))).toThrow(InvalidKeyError);
  });

  it('are refused at boot with an empty name', () => {
    expect(() => param('')).toThrow(IdempotencyConfigurationError);
    expect(() => query('')).toThrow(IdempotencyConfigurationError);
  });
});

describe('principal()', () => {
  it('is who is calling, and missing for an anonymous caller', () => {
    expect(principal().read(callOf({}, { principal: 'alice' }))).toBe('alice');
    expect(principal().read(callOf())).toBeUndefined();
  });
});

describe('keySource()', () => {
  it('answers at once when the function does', () => {
    expect(keySource('tenant', () => 7).read(callOf())).toBe('7');
    expect(keySource('tenant', () => null).read(callOf())).toBeUndefined();
  });

  it('answers later when the function does', async () => {
    const source = keySource('tenant', (call) => Promise.resolve(call.request.method));
    await expect(source.read(callOf())).resolves.toBe('POST');
  });

  it('refuses what cannot be a key, at once or later', async () => {
    const wrong = { id: 1 } as unknown as string;
    expect(() => keySource('tenant', () => wrong).read(callOf())).toThrow('from tenant is neither');
    await expect(keySource('tenant', () => Promise.resolve(wrong)).read(callOf())).rejects.toThrow(
      InvalidKeyError,
    );
  });

  it('is refused at boot without a name or a function', () => {
    expect(() => keySource('', () => 'a')).toThrow(IdempotencyConfigurationError);
    expect(() => keySource('tenant', 'a' as unknown as () => string)).toThrow(
      IdempotencyConfigurationError,
    );
  });
});
