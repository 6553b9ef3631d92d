import fc from '../support/properties.js';
import { recordId } from '../../src/keys/record-id.js';

type Ref = [scope: string, principal: string | undefined, key: string];

/** Any text, lone surrogates and framing characters included. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...Array.from('1,:ab"\\\ud800\udfff')) }),
);
const principal = fc.option(text, { nil: undefined });

describe('the name of a record', () => {
  it('is a SHA-256 in hexadecimal that never changes', () => {
    expect(recordId('POST /payments', 'alice', 'k')).toBe(
      'fbe2c34f484e23d5b169acdd0afd8d68a6b9861087b29e091b5a4b3e4d5eede9',
    );
    expect(recordId('POST /payments', undefined, 'k')).toBe(
      '081afb2c82097fe83c7e5f7c3a460b79dbb61389ca284b745c251589d298dca5',
    );
  });

  it.each([
    ['the key', ['s', 'p', 'k'], ['s', 'p', 'K']],
    ['the principal', ['s', 'a', 'k'], ['s', 'b', 'k']],
    ['the scope', ['s', 'p', 'k'], ['t', 'p', 'k']],
    ['anonymous and empty principal', ['s', undefined, 'k'], ['s', '', 'k']],
    ['anonymous and a principal named undefined', ['s', undefined, 'k'], ['s', 'undefined', 'k']],
    ['where the scope ends', ['a', 'bc', 'k'], ['ab', 'c', 'k']],
    ['where the principal ends', ['s', 'ab', 'c'], ['s', 'a', 'bc']],
    ['where the principal of a key begins', ['s', undefined, 'ak'], ['s', 'a', 'k']],
    ['lone surrogates', ['s', '\ud800', 'k'], ['s', '\ud801', 'k']],
    ['a lone surrogate and its replacement', ['s', '\ud800', 'k'], ['s', '\ufffd', 'k']],
  ] as [string, Ref, Ref][])('tells apart %s', (_, one, other) => {
    expect(recordId(...one)).not.toBe(recordId(...other));
  });

  it('differs whenever one of the three does', () => {
    const ref = fc.tuple(text, principal, text);
    fc.assert(
      fc.property(ref, ref, (one, other) => {
        const isSame = one.every((part, i) => part === other[i]);
        expect(recordId(...one) === recordId(...other)).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });

  it('differs when the same text is cut elsewhere', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), fc.nat(), fc.nat(), (all, a, b, c, d) => {
        const one = cut(all, a, b);
        const other = cut(all, c, d);
        const isSame = one.every((part, i) => part === other[i]);
        expect(recordId(...one) === recordId(...other)).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });
});

function cut(all: string, a: number, b: number): [string, string, string] {
  const [first, second] = [a % (all.length + 1), b % (all.length + 1)].sort((x, y) => x - y) as [
    number,
    number,
  ];
  return [all.slice(0, first), all.slice(first, second), all.slice(second)];
}
