import canonicalize from 'canonicalize';
import fc from '../support/properties.js';
import { canonicalJson } from '../../src/keys/canonical-json.js';
import { json, reversed } from './json-values.js';

describe('canonical JSON', () => {
  it('is what another implementation of RFC 8785 makes', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is the same whatever the order of members', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
      }),
    );
  });

  it('is another one for other content', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const isSame = canonicalize(one) === canonicalize(other);
        expect(canonicalJson(one) === canonicalJson(other)).toBe(isSame);
      }),
    );
  });

  it('is JSON of the same content', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(value);
      }),
    );
  });

  it('is the example of RFC 8785', () => {
    const value: unknown = JSON.parse(
      String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
      "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
    );
    expect(canonicalJson(value)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('orders names by UTF-16 code units, few and many', () => {
    const names = ['\ufb33', '\ud83d\ude00', '\u20ac', '\u00f6', '\u0080', '1', '\r', '10', '9'];
    const many = [...names, ...Array.from({ length: 30 }, (_, i) => `k${i}`)];
    for (const list of [names, many]) {
      const value = Object.fromEntries(list.map((name) => [name, 0]));
      expect(Object.keys(JSON.parse(canonicalJson(value)) as object).toSorted()).toEqual(
        list.toSorted(),
      );
      expect(canonicalJson(value)).toBe(canonicalize(value));
    }
  });

  it('escapes lone surrogates, short and long, which a digest would merge', () => {
    expect(canonicalJson('\ud800')).toBe('"\\ud800"');
    expect(canonicalJson({ '\udc00': `${'x'.repeat(60)}\ud800` })).toMatch(/^[ -~]+$/);
    expect(canonicalJson('\ud83d\ude00')).toBe('"\ud83d\ude00"');
  });

  it.each([
    ['1.0', '1'],
    ['1e2', '100'],
    ['-0', '0'],
    ['"\\u0061"', '"a"'],
    ['"\\/"', '"/"'],
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
  ])('reads %s as %s', (one, other) => {
    expect(canonicalJson(JSON.parse(one))).toBe(canonicalJson(JSON.parse(other)));
  });

  it.each([
    ['{"a":1}', '{"a":"1"}'],
    ['{"a":1}', '{"A":1}'],
    ['{"a":null}', '{}'],
    ['{"a":"1,\\"b\\":2"}', '{"a":"1","b":2}'],
    ['[1,[2]]', '[[1],2]'],
    ['[[],[]]', '[[[]]]'],
    ['{}', '[]'],
    ['""', 'null'],
    ['{"__proto__":{"a":1}}', '{"a":1}'],
    ['{"__proto__":{"a":1}}', '{}'],
    ['{"constructor":1}', '{}'],
    ['{"toJSON":1}', '{}'],
    ['"\\ud800"', '"\\ud801"'],
    ['"\\ud800"', '"\\ufffd"'],
    ['"\\ud83d\\ude00"', '"\\ude00\\ud83d"'],
    ['1e999', 'null'],
    ['1e999', '-1e999'],
    ['"!Infinity"', '1e999'],
    ['"\u00e9"', '"e\u0301"'],
  ])('tells %s from %s', (one, other) => {
    expect(canonicalJson(JSON.parse(one))).not.toBe(canonicalJson(JSON.parse(other)));
  });
});
