import canonicalize from 'canonicalize';
import fc from '../support/properties.js';
import { canonicalJson, NotComparableError } from '../../src/keys/canonical-json.js';
import { deep, json, reversed } from './json-values.js';

/** Lists in objects in lists, `depth` levels of them. */
function nested(depth: number, core: string): string {
  const open = Array.from({ length: depth }, (_, i) => (i % 2 === 0 ? '[0,' : '{"b":1,"a":'));
  const close = Array.from({ length: depth }, (_, i) => ((depth - i) % 2 === 0 ? '}' : ']'));
  return open.join('') + core + close.join('');
}

describe('canonical JSON of hostile structures', () => {
  it('is the same above and below the depth where recursion ends', () => {
    fc.assert(
      fc.property(json, fc.integer({ min: 55, max: 75 }), (value, depth) => {
        const sent = nested(depth, JSON.stringify(value));
        expect(canonicalJson(JSON.parse(sent))).toBe(canonicalize(JSON.parse(sent)));
      }),
    );
  });

  it('leaves out and keeps the same members below that depth', () => {
    const value = deep({ a: undefined, b: [undefined, {}, []], c: {}, d: () => 1, e: null });
    expect(canonicalJson(value)).toContain('{"b":[null,{},[]],"c":{},"e":null}');
  });

  it('takes 100 000 levels', () => {
    const sent = nested(100_000, '1');
    const startedAt = performance.now();
    const canonical = canonicalJson(JSON.parse(sent));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(canonical).toHaveLength(sent.length);
    expect(canonicalJson(JSON.parse(nested(100_000, '2')))).not.toBe(canonical);
  });

  it('takes 200 000 members, and a name and a text of a megabyte', () => {
    const wide = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`k${i}`, i]));
    const startedAt = performance.now();
    expect(canonicalJson(reversed(wide))).toBe(canonicalJson(wide));
    const long = { ['n'.repeat(1e6)]: 't'.repeat(1e6) };
    expect(canonicalJson(long)).toBe(JSON.stringify(long));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it.each([
    ['an object', circle({})],
    ['a list', circle([])],
    ['an object in a list', [circle({})]],
    ['both members of an object', twice()],
    ['a set', circleOf(new Set<unknown>())],
    ['a map', mapCircle()],
    ['an answer of toJSON', answersWithParent()],
  ])('refuses a circle: %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(NotComparableError);
  });

  it('takes the same object in two places', () => {
    const shared = { a: 1 };
    expect(canonicalJson([shared, shared])).toBe('[{"a":1},{"a":1}]');
    expect(canonicalJson(deep([shared, shared]))).toContain('[{"a":1},{"a":1}]');
  });
});

function circle(value: object): object {
  return Object.assign(value, { 0: value });
}

function twice(): object {
  const value: Record<string, unknown> = {};
  value.a = value;
  value.b = value;
  return value;
}

function circleOf(set: Set<unknown>): Set<unknown> {
  return set.add(set);
}

function mapCircle(): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  return map.set('a', { map });
}

function answersWithParent(): object {
  const value = { toJSON: () => ({ value }) };
  return value;
}
