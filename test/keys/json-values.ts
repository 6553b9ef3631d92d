import fc from '../support/properties.js';

/** Names and text that canonical forms get wrong: order beyond ASCII, escapes, prototypes. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(
      ...Array.from('"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028\u00fc\ufb33'),
      '\ud83d\ude00',
    ),
  }),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', '10', '9', '\u20ac', '\r', 'x'.repeat(60)),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 1e21, 1e-7, 5e-324, 2 ** 53, 0.1 + 0.2),
);
/** As parsed from JSON, so that `__proto__` is a member. */
export const json = fc
  .anything({
    key: text,
    values: [text, number, fc.boolean(), fc.constant(null)],
    withObjectString: false,
    maxDepth: 5,
  })
  .map((value) => JSON.parse(JSON.stringify(value) ?? 'null') as unknown);

/** The same content with the members of every object the other way round. */
export function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, member]) => [name, reversed(member)] as const);
  return Object.fromEntries(entries.toReversed());
}

/** Far enough down to be written without recursion. */
export function deep(value: unknown): unknown {
  let result = value;
  for (let i = 0; i < 70; i++) result = { a: result };
  return result;
}
