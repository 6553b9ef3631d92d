import fc from '../support/properties.js';
import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import { directKey } from '../../src/keys/key-part.js';
import { InvalidKeyError, type KeyDeclaration, type KeySource } from '../../src/keys/key-source.js';
import {
  body,
  header,
  keySource,
  param,
  principal,
  resolveKey,
} from '../../src/keys/key-sources.js';
import { signature } from '../../src/keys/signature.js';
import { callOf, callWithHeader } from './call.js';

const context = { headerName: 'Idempotency-Key' };

function resolve(declaration: unknown): ReturnType<typeof resolveKey> {
  return resolveKey(declaration as KeyDeclaration, context);
}

/** The key that functions with these answers make. */
function keyOf(...parts: unknown[]): unknown {
  return resolve(parts.map((part) => () => part)).read(callOf());
}

describe('the key of a declaration', () => {
  it('is that of its one source', () => {
    const key = resolve(header());
    expect(key.read(callWithHeader('"abc"'))).toBe('abc');
    expect(key.read(callOf())).toBeUndefined();
    expect(key.description).toBe('header Idempotency-Key');
  });

  it('is read from the header that the module names', () => {
    const key = resolveKey([header(), header('X-Client-Id')], { headerName: 'X-Key' });
    expect(key.description).toBe('header X-Key + header X-Client-Id');
  });

  it('is what a function answers', () => {
    expect(resolve(() => 7).read(callOf())).toBe('7');
    expect(resolve(() => undefined).read(callOf())).toBeUndefined();
    expect(() => resolve(() => ({})).read(callOf())).toThrow(InvalidKeyError);
    expect(resolve(function tenant() {}).description).toBe('function tenant');
    expect(resolve(() => 7).description).toBe('function');
  });

  it('is missing when one of its parts is', () => {
    expect(keyOf('a', 'b')).toBeDefined();
    expect(keyOf('a', undefined)).toBeUndefined();
    expect(keyOf(null, 'b')).toBeUndefined();
  });

  it('is refused when one of its parts cannot be one', () => {
    expect(() => keyOf('a', {})).toThrow(InvalidKeyError);
    expect(() => keyOf('a', '')).toThrow(InvalidKeyError);
  });

  it('is refused when a source of the application answers with what cannot be one', () => {
    const source = { description: 'own', read: () => 'a\u001fb' };
    expect(() => resolve(source).read(callOf())).toThrow(InvalidKeyError);
    expect(() => resolve([source]).read(callOf())).toThrow(InvalidKeyError);
  });

  it('is the same for numbers and their digits in parts', () => {
    expect(keyOf(1, true)).toBe(keyOf('1', 'true'));
  });

  it.each([
    [
      ['a', 'bc'],
      ['ab', 'c'],
    ],
    [
      ['a::b', 'c'],
      ['a', 'b::c'],
    ],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [['a'], ['a', 'a']],
    [['a,b'], ['a', 'b']],
    [['["a"]'], ['a']],
  ])('tells %j from %j', (one, other) => {
    expect(keyOf(...one)).not.toBe(keyOf(...other));
  });

  it.each([':', '::', ',', '|', '/', ' ', '","', '\\', '%1f'])(
    'needs no escape for %j',
    (between) => {
      expect(keyOf(`a${between}b`)).not.toBe(keyOf('a', 'b'));
      expect(keyOf(`a${between}b`, 'c')).not.toBe(keyOf('a', `b${between}c`));
      expect(keyOf(`a${between}`, 'b')).not.toBe(keyOf('a', `${between}b`));
    },
  );

  it('tells a list of one part from the part alone', () => {
    expect(resolve([() => 'a']).read(callOf())).not.toBe(resolve(() => 'a').read(callOf()));
  });

  it('is different for every other list of parts, and never a plain key', () => {
    const part = fc.string({ unit: fc.constantFrom(...Array.from('ab:,|"[]\\1 ')), minLength: 1 });
    const parts = fc.array(part, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, part, (one, other, plain) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other);
        expect(keyOf(...one) === keyOf(...other)).toBe(isSame);
        expect(keyOf(...one)).not.toBe(resolve(() => plain).read(callOf()));
      }),
      { numRuns: 500 },
    );
  });

  it('is the same for code that gives its parts', () => {
    expect(directKey(['a', 7])).toBe(keyOf('a', '7'));
    expect(directKey('a')).toBe(resolve(() => 'a').read(callOf()));
  });
});

describe('a declaration with asynchronous sources', () => {
  const later = (value: unknown) => keySource('later', () => Promise.resolve(value as string));
  const now = (value: string) => () => value;

  it('answers without a promise as long as no source needs one', () => {
    expect(keyOf('a', 'b')).toEqual(expect.any(String));
  });

  it.each([
    ['first', [later('a'), now('b'), now('c')]],
    ['in the middle', [now('a'), later('b'), now('c')]],
    ['last', [now('a'), now('b'), later('c')]],
    ['everywhere', [later('a'), later('b'), later('c')]],
  ])('makes the same key when the asynchronous one stands %s', async (_, sources) => {
    const key = resolve(sources).read(callOf());
    expect(key).toBeInstanceOf(Promise);
    await expect(key).resolves.toBe(keyOf('a', 'b', 'c'));
  });

  it('asks no source after one that has nothing', async () => {
    let asked = 0;
    const counting = () => String(++asked);
    await expect(resolve([later(undefined), counting]).read(callOf())).resolves.toBeUndefined();
    expect(resolve([now('a'), () => undefined, counting]).read(callOf())).toBeUndefined();
    expect(asked).toBe(0);
  });

  it('refuses a part that cannot be one', async () => {
    await expect(resolve(later({})).read(callOf())).rejects.toThrow(InvalidKeyError);
    await expect(resolve([later('a'), later('')]).read(callOf())).rejects.toThrow(InvalidKeyError);
  });

  it('fails as the source fails', async () => {
    const failure = new Error('directory down');
    const failing = () => Promise.reject(failure);
    await expect(resolve([later('a'), failing]).read(callOf())).rejects.toBe(failure);
  });
});

describe('what is known of a declaration', () => {
  it.each([
    ['a header', header(), true, false],
    ['headers and parameters', [header('X-Client-Id'), param('id')], true, false],
    ['a body member', body('a'), false, false],
    ['a header and a body member', [header(), body('a')], false, false],
    ['the principal', principal(), false, false],
    ['a function', () => 'a', false, false],
    ['the content', signature(), false, true],
    ['a header and the content', [header(), signature()], false, true],
  ])('%s', (_, declaration, readsOnlyHead, coversContent) => {
    expect(resolve(declaration)).toMatchObject({ readsOnlyHead, coversContent });
  });
});

describe('a wrong declaration', () => {
  it.each([
    ['an empty list', [], 'an empty list'],
    ['a name', 'orderNo', '"orderNo"'],
    ['a list with a name in it', ['orderNo'], '"orderNo"'],
    ['a list in a list', [[header()]], 'a list of 1'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an object', { header: 'X' }, 'an object'],
    ['a source that was not called', [null], 'null'],
    ['a hook that answers with nothing', { ...header(), resolve: () => undefined }, 'undefined'],
  ])('is refused at boot: %s', (_, declaration, given) => {
    const resolving = () => resolve(declaration);
    expect(resolving).toThrow(IdempotencyConfigurationError);
    expect(resolving).toThrow(`Idempotency option "key" is ${given}. Accepted: header(), body()`);
  });

  it.each(['', 'Idempotency Key', 'K:'])('is refused for %j as header of the module', (name) => {
    const sources: KeySource[] = [header(), body('a')];
    for (const source of sources) {
      expect(() => resolveKey(source, { headerName: name })).toThrow('option "header" is');
    }
  });
});
