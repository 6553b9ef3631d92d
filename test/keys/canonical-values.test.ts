import { canonicalJson, NotComparableError } from '../../src/keys/canonical-json.js';
import { deep } from './json-values.js';

describe('canonical JSON of what JSON does not have', () => {
  it.each([
    ['a date and its text', new Date(5), new Date(5).toISOString()],
    ['an object with toJSON and its answer', { toJSON: () => ({ b: 1, a: 2 }) }, { a: 2, b: 1 }],
    ['an object that answers with itself', answersWithItself(), { a: 1 }],
    [
      'a class instance and an object',
      new (class A {
        a = 1;
        b(): void {}
      })(),
      { a: 1 },
    ],
    [
      'an object without prototype',
      Object.assign(Object.create(null) as object, { a: 1 }),
      { a: 1 },
    ],
    ['a member that is undefined', { a: undefined, b: 1 }, { b: 1 }],
    ['members that are functions and symbols', { a: () => 1, b: Symbol('b') }, {}],
    ['a list with undefined', [undefined, () => 1, Symbol('b')], [null, null, null]],
    ['a list with a hole', Array(1), [null]],
    ['an invalid date', [new Date(NaN)], [null]],
    ['boxed values', [Object('a'), Object(1), Object(true)], ['a', 1, true]],
    ['bytes, Buffer or not', Buffer.from('ab'), new Uint8Array([97, 98])],
    ['an ArrayBuffer and its bytes', new Uint8Array([1]).buffer, new Uint8Array([1])],
    ['sets in any order', new Set(['a', 'b']), new Set(['b', 'a'])],
    [
      'maps in any order',
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    ],
    ['a URL and its text', new URL('http://a/'), 'http://a/'],
  ] as [string, unknown, unknown][])('is the same for %s', (_, one, other) => {
    expect(canonicalJson(one)).toBe(canonicalJson(other));
    expect(canonicalJson(deep(one))).toBe(canonicalJson(deep(other)));
  });

  it.each([
    ['a bigint and a number', 1n, 1],
    ['a bigint and its digits', 1n, '1'],
    ['bigints', 2n ** 64n, 2n ** 64n + 1n],
    ['NaN and null', NaN, null],
    ['NaN and Infinity', NaN, Infinity],
    ['bytes', Buffer.from('a'), Buffer.from('b')],
    ['bytes and text', Buffer.from('a'), 'a'],
    ['bytes and their JSON', Buffer.from('a'), { type: 'Buffer', data: [97] }],
    ['bytes and numbers of one byte', new Uint8Array([1]), new Int8Array([1])],
    ['no bytes and an empty object', Buffer.alloc(0), {}],
    ['views of one buffer', view(0), view(1)],
    ['a set and a list', new Set(['a']), ['a']],
    ['a set and a map', new Set([['a', 1]]), new Map([['a', 1]])],
    ['a map and an object', new Map([['a', 1]]), { a: 1 }],
    ['an empty set and an empty object', new Set(), {}],
    ['maps', new Map([['a', 1]]), new Map([['a', 2]])],
    [
      'keys of maps by type',
      new Map<unknown, number>([['1', 1]]),
      new Map<unknown, number>([[1, 1]]),
    ],
    ['sets of sets', new Set([new Set([1])]), new Set([new Set([2])])],
    ['a form of its own and text like it', Buffer.from('a'), canonicalJson(Buffer.from('a'))],
  ])('tells apart %s', (_, one, other) => {
    expect(canonicalJson(one)).not.toBe(canonicalJson(other));
    expect(canonicalJson(deep(one))).not.toBe(canonicalJson(deep(other)));
  });

  it.each([
    ['a promise', Promise.resolve(1)],
    ['a regular expression', /a/],
    ['an error', new Error('a')],
    ['a weak map', new WeakMap()],
    ['an iterator', [1].values()],
    ['a blob', new Blob(['a'])],
    ['a form', new FormData()],
  ])('refuses %s, of which JSON sees nothing', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(NotComparableError);
    expect(() => canonicalJson({ a: [value] })).toThrow(NotComparableError);
    expect(() => canonicalJson(deep(value))).toThrow(NotComparableError);
  });

  it.each([
    ['undefined', undefined],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
  ])('refuses %s alone', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(NotComparableError);
  });
});

function answersWithItself(): object {
  return {
    a: 1,
    toJSON() {
      return this;
    },
  };
}

function view(start: number): Uint8Array {
  return new Uint8Array(new Uint8Array([1, 2]).buffer, start, 1);
}
