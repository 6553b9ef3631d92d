import fc from '../support/properties.js';
import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import {
  type FingerprintDeclaration,
  FingerprintUnavailableError,
  requestFingerprint,
  resolveFingerprint,
} from '../../src/keys/fingerprint.js';
import type { IncomingRequest } from '../../src/keys/call.js';
import { callOf } from './call.js';

function fingerprint(request: Partial<IncomingRequest>, principal?: string): string {
  return requestFingerprint(callOf(request, { principal }));
}

describe('the fingerprint of a request', () => {
  it('is two digests in hexadecimal, of the content and of the caller, that never change', () => {
    const request = { params: { id: '7' }, query: { a: '1' }, body: { b: 1, a: [true, null] } };
    expect(fingerprint(request)).toBe(
      '0b3345d58cabeb65d1d81da59cc9e3b6cbddb8aa112bf707c781e4f79ff2e8e0.f5055825582c5dcc3f3db1b5c3014e44',
    );
  });

  it('is there at once', () => {
    expect(resolveFingerprint(undefined)(callOf())).toBe(requestFingerprint(callOf()));
  });

  it.each([
    ['members in another order', { body: { a: 1, b: 2 } }, { body: { b: 2, a: 1 } }],
    [
      'query parameters in another order',
      { query: { a: '1', b: '2' } },
      { query: { b: '2', a: '1' } },
    ],
    ['parameters in another order', { params: { a: '1', b: '2' } }, { params: { b: '2', a: '1' } }],
    [
      'another form of a number',
      { body: JSON.parse('{"a":1.0}') },
      { body: JSON.parse('{"a":1}') },
    ],
    [
      'a query that nobody parsed, in another order',
      { query: undefined, url: '/?a=1&b=2&b=3' },
      { query: {}, url: '/?b=2&a=1&b=3' },
    ],
    ['an empty query', { url: '/payments' }, { url: '/payments?' }],
    [
      'bytes kept beside a parsed body',
      { body: { a: 1 }, rawBody: Buffer.from('{"a":1}') },
      { body: { a: 1 }, rawBody: Buffer.from('{"a": 1}') },
    ],
    ['other headers', { headers: { 'x-request-id': '1' } }, { headers: { 'x-request-id': '2' } }],
    ['bytes in a Buffer or not', { body: Buffer.from('a') }, { body: new Uint8Array([97]) }],
  ])('is the same for %s', (_, one, other) => {
    expect(fingerprint(one)).toBe(fingerprint(other));
  });

  it.each([
    ['the method', { method: 'POST' }, { method: 'PUT' }],
    ['a parameter', { params: { id: '1' } }, { params: { id: '2' } }],
    ['a query parameter', { query: { amount: '1' } }, { query: { amount: '1000' } }],
    [
      'the order of a repeated query parameter',
      { query: { a: ['1', '2'] } },
      { query: { a: ['2', '1'] } },
    ],
    [
      'a query that nobody parsed',
      { query: {}, url: '/?amount=1' },
      { query: {}, url: '/?amount=1000' },
    ],
    [
      'the order of a repeated parameter that nobody parsed',
      { query: undefined, url: '/?a=1&a=2' },
      { query: undefined, url: '/?a=2&a=1' },
    ],
    ['a body member', { body: { amount: 1 } }, { body: { amount: 1000 } }],
    ['a type', { body: { amount: 1 } }, { body: { amount: '1' } }],
    ['a member of __proto__', { body: JSON.parse('{"__proto__":{"a":1}}') }, { body: {} }],
    ['bytes', { body: Buffer.from('a') }, { body: Buffer.from('b') }],
    ['text', { body: 'a' }, { body: 'b' }],
    ['text and its bytes', { body: 'a' }, { body: Buffer.from('a') }],
    ['no body and an empty one', {}, { body: {} }],
    ['no body and null', {}, { body: null }],
    ['the same member in query and body', { query: { a: '1' } }, { body: { a: '1' } }],
    ['the same member in parameters and query', { params: { a: '1' } }, { query: { a: '1' } }],
    ['a parsed body and the text of it', { body: { a: 1 } }, { body: '{"a":1}' }],
    ['lone surrogates', { body: '\ud800' }, { body: '\ud801' }],
    ['a lone surrogate and its replacement', { body: '\ud800' }, { body: '\ufffd' }],
    ['Infinity and null', { body: JSON.parse('[1e999]') }, { body: [null] }],
  ])('tells apart %s', (_, one, other) => {
    expect(fingerprint(one)).not.toBe(fingerprint(other));
  });

  it('tells routes apart', () => {
    const on = (scope: string) => requestFingerprint(callOf({}, { scope }));
    expect(on('POST /a')).not.toBe(on('POST /b'));
    expect(on('a\n{}')).not.toBe(on('a'));
  });

  it('tells anonymous callers apart by their credentials, known ones not', () => {
    const of = (token: string, principal?: string) =>
      fingerprint({ headers: { authorization: token } }, principal);
    expect(of('Bearer a')).not.toBe(of('Bearer b'));
    expect(of('Bearer a')).not.toBe(fingerprint({}));
    expect(of('Bearer a')).toBe(of('Bearer a'));
    // A token that was renewed between two tries is no other content.
    expect(of('Bearer a', 'alice')).toBe(of('Bearer b', 'alice'));
    const withCookie = (cookie: string) => fingerprint({ headers: { cookie } });
    expect(withCookie('sid=a')).not.toBe(withCookie('sid=b'));
  });

  it('does not change the request', () => {
    const body = Object.freeze({ b: Object.freeze([2, 1]), a: 1 });
    fingerprint({ body });
    expect(Object.keys(body)).toEqual(['b', 'a']);
  });

  it('differs whenever parameters, query or body do', () => {
    const record = fc.dictionary(
      fc.constantFrom('a', 'b', '__proto__'),
      fc.constantFrom('', '1', '\n', '{}'),
    );
    const request = fc.record({
      params: record,
      query: record,
      body: fc.option(record, { nil: undefined }),
    });
    const text = (value: object): string => JSON.stringify(sorted(value));
    fc.assert(
      fc.property(request, request, (one, other) => {
        expect(fingerprint(one) === fingerprint(other)).toBe(text(one) === text(other));
      }),
      { numRuns: 500 },
    );
  });

  it('takes a body of 100 000 levels', () => {
    const nested = (core: string): unknown => JSON.parse('['.repeat(1e5) + core + ']'.repeat(1e5));
    const startedAt = performance.now();
    expect(fingerprint({ body: nested('1') })).not.toBe(fingerprint({ body: nested('2') }));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('is refused for a body that cannot be compared', () => {
    const body: Record<string, unknown> = {};
    body.body = body;
    expect(() => fingerprint({ body })).toThrow(FingerprintUnavailableError);
    expect(() => fingerprint({ body: { a: Promise.resolve(1) } })).toThrow(
      'The body of the request cannot be compared with a retry: The content of a Promise cannot be read.',
    );
  });
});

describe('a fingerprint of the application', () => {
  it.each([
    ['text', 'a', 'b'],
    ['an object', { a: 1, b: 2 }, { a: 1, b: 3 }],
    ['a bigint', 1n, 2n],
    ['null', null, 'null'],
    ['bytes', Buffer.from('a'), Buffer.from('b')],
  ])('is a digest of %s, at once or later', async (_, answer, other) => {
    const resolved = resolveFingerprint(() => answer)(callOf());
    expect(resolved).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
    expect(resolved).not.toBe(resolveFingerprint(() => other)(callOf()));
    await expect(resolveFingerprint(async () => answer)(callOf())).resolves.toBe(resolved);
  });

  it('stands for the body, and for nothing else', () => {
    const of = (request: Partial<IncomingRequest>, scope = 'POST /accounts/:id') =>
      resolveFingerprint(() => 'a')(callOf(request, { scope }));
    const one = of({ params: { id: '1' }, body: { seen: 1 } });
    expect(of({ params: { id: '1' }, body: { seen: 2 } })).toBe(one);
    expect(of({ params: { id: '2' } })).not.toBe(one);
    expect(of({ params: { id: '1' }, query: { dry: 'true' } })).not.toBe(one);
    expect(of({ params: { id: '1' }, hosts: { tenant: 'b' } })).not.toBe(one);
    expect(of({ params: { id: '1' }, method: 'DELETE' })).not.toBe(one);
    expect(of({ params: { id: '1' } }, 'POST /users/:id')).not.toBe(one);
  });

  it('is the same for members in another order', () => {
    expect(resolveFingerprint(() => ({ a: 1, b: 2 }))(callOf())).toBe(
      resolveFingerprint(() => ({ b: 2, a: 1 }))(callOf()),
    );
  });

  it.each([[undefined], [() => 1], [Symbol('a')]])('is refused when it is %p', async (answer) => {
    expect(() => resolveFingerprint(() => answer)(callOf())).toThrow(IdempotencyConfigurationError);
    await expect(resolveFingerprint(async () => answer)(callOf())).rejects.toThrow(
      'option "fingerprint" is',
    );
  });

  it('is refused when a promise was forgotten in it', () => {
    expect(() => resolveFingerprint(() => ({ a: Promise.resolve(1) }))(callOf())).toThrow(
      FingerprintUnavailableError,
    );
  });

  it.each([
    ['a function', () => 'a'],
    ['false', false],
  ] as const)('tells anonymous callers apart when it is %s, known ones not', (_, declaration) => {
    const of = (authorization: string, principal?: string) =>
      resolveFingerprint(declaration)(callOf({ headers: { authorization } }, { principal }));
    expect(of('Bearer a')).not.toBe(of('Bearer b'));
    expect(of('Bearer a')).toBe(of('Bearer a'));
    expect(of('Bearer a', 'alice')).toBe(of('Bearer b', 'alice'));
  });

  it('matches everything when it is false, and then reads nothing', () => {
    const headers = { 'content-length': '5' };
    expect(resolveFingerprint(false)(callOf({ headers }, { principal: 'alice' }))).toBe('');
  });

  it('compares who is calling when it is false and nobody is known', () => {
    const compared = [{}, { cookie: 'a' }, { authorization: 'a' }].map((headers) =>
      resolveFingerprint(false)(callOf({ headers })),
    );
    for (const digest of compared) expect(digest).toMatch(/^\.[0-9a-f]{32}$/);
    expect(new Set(compared).size).toBe(compared.length);
  });

  it.each(['body', true, null, {}])('is refused at boot when it is %p', (declaration) => {
    expect(() => resolveFingerprint(declaration as FingerprintDeclaration)).toThrow(
      IdempotencyConfigurationError,
    );
  });
});

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value ?? 'undefined';
  return Object.keys(value)
    .toSorted()
    .map((name) => [name, sorted((value as Record<string, unknown>)[name])]);
}
