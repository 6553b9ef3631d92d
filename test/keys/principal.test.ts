import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import type { IncomingRequest } from '../../src/keys/call.js';
import { credentialDigests } from '../../src/keys/credentials.js';
import {
  defaultPrincipal,
  type PrincipalFunction,
  resolvePrincipal,
} from '../../src/keys/principal.js';
import { callOf } from './call.js';

function signedIn(user: unknown): ReturnType<typeof callOf> {
  return callOf({ user: user as IncomingRequest['user'] });
}

/** As UUIDs of many libraries are. */
class Uuid {
  constructor(private readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

describe('the principal without a function', () => {
  it.each([
    ['an object without text', { id: {}, sub: 'alice' }],
    ['a list', { id: ['a'] }],
    ['an object with empty text', { id: { toString: () => '' } }],
    ['NaN', { id: NaN }],
    ['true', { userId: true }],
  ])('is an error for %s, never nobody', (_, user) => {
    expect(() => defaultPrincipal(signedIn(user))).toThrow(/principal: request\.user\.(id|userId)/);
  });

  it.each([
    ['user.id', { id: 'alice', sub: 'x' }, 'alice'],
    ['user.sub', { sub: 'alice' }, 'alice'],
    ['a number', { id: 7 }, '7'],
    ['zero', { id: 0 }, '0'],
    ['a bigint', { id: 12345678901234567890n }, '12345678901234567890'],
    ['user.sub when the id is empty', { id: '', sub: 'alice' }, 'alice'],
    ['user.userId, as Nest’s own guides have it', { userId: 7, username: 'alice' }, '7'],
    ['user.id before the others', { userId: 'c', sub: 'b', id: 'a' }, 'a'],
    ['the digits of an ObjectId', { id: { toHexString: () => '65f0a1' } }, '65f0a1'],
    ['the text of an object that has one of its own', { id: new Uuid('u-1') }, 'u-1'],
    ['nobody without a user', undefined, undefined],
    ['nobody for null', null, undefined],
    ['nobody for a name', 'alice', undefined],
    ['nobody for a user without both', { name: 'alice' }, undefined],
  ])('is %s', (_, user, principal) => {
    expect(defaultPrincipal(signedIn(user))).toBe(principal);
    expect(resolvePrincipal(undefined)(signedIn(user))).toBe(principal);
  });
});

describe('the principal of a function', () => {
  function answer(value: unknown): unknown {
    return resolvePrincipal((() => value) as PrincipalFunction)(callOf());
  }

  it.each([
    ['alice', 'alice'],
    [7, '7'],
    [7n, '7'],
    [undefined, undefined],
    [null, undefined],
    ['', undefined],
  ])('is for %p, at once or later, %p', async (value, principal) => {
    expect(answer(value)).toBe(principal);
    await expect(answer(Promise.resolve(value))).resolves.toBe(principal);
  });

  it.each([[{ id: 1 }], [['a']], [true], [NaN], [() => 'a'], [Symbol('a')]])(
    'is refused when it is %p',
    async (value) => {
      expect(() => answer(value)).toThrow(IdempotencyConfigurationError);
      await expect(answer(Promise.resolve(value))).rejects.toThrow('option "principal" is');
    },
  );

  it('is refused at boot when it is no function', () => {
    expect(() => resolvePrincipal('alice' as unknown as PrincipalFunction)).toThrow(
      IdempotencyConfigurationError,
    );
  });
});

describe('the digest of the credentials', () => {
  const credentialDigest = credentialDigests(['X-API-Key']);
  const digest = (headers: IncomingRequest['headers']) => credentialDigest(callOf({ headers }));

  it('is missing when the principal is known or nothing is sent', () => {
    const headers = { authorization: 'Bearer a' };
    expect(credentialDigest(callOf({ headers }, { principal: 'alice' }))).toBeUndefined();
    expect(digest({})).toBeUndefined();
  });

  it('tells tokens and cookies apart', () => {
    const digests = [
      digest({ authorization: 'a' }),
      digest({ authorization: 'b' }),
      digest({ cookie: 'a' }),
      digest({ cookie: 'b' }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
    expect(digest({ authorization: 'a' })).toBe(digests[0]);
  });

  it('covers all that are there: a token of a service says nothing about the user whose cookie it is', () => {
    const both = digest({ authorization: 'a', cookie: 'b' });
    expect(both).not.toBe(digest({ authorization: 'a' }));
    expect(both).not.toBe(digest({ cookie: 'b' }));
    expect(both).not.toBe(digest({ authorization: 'a', cookie: 'c' }));
    expect(digest({ cookie: 'b', authorization: 'a' })).toBe(both);
  });

  it('covers the headers that are named, and no others', () => {
    expect(digest({ 'x-api-key': 'a' })).not.toBe(digest({ 'x-api-key': 'b' }));
    expect(digest({ 'x-api-key': 'a' })).not.toBe(digest({ authorization: 'a' }));
    expect(digest({ 'x-request-id': 'a' })).toBeUndefined();
  });

  it('is that of the cookie beside an empty token, and missing when both are empty', () => {
    expect(digest({ authorization: '', cookie: 'a' })).toBe(digest({ cookie: 'a' }));
    expect(digest({ authorization: '', cookie: '' })).toBeUndefined();
  });

  it('never shows the credential', () => {
    expect(digest({ authorization: 'Bearer a' })).toMatch(/^[0-9a-f]{64}$/);
  });
});
