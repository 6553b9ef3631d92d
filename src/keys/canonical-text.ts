/** A value cannot be compared with another one by its content. */
export class NotComparableError extends TypeError {
  override readonly name = 'NotComparableError';
}

/** Up to this many names, sorting by insertion beats `Array.sort`. */
const FEW = 12;

/** Everything that `JSON.stringify` escapes, and surrogates, which it escapes when lone. */
// oxlint-disable-next-line no-control-regex -- finding them is the purpose
const NEEDS_ESCAPE = /["\\\x00-\x1f\ud800-\udfff]/;

/** Up to here a look at the characters is cheaper than `JSON.stringify`. */
const SHORT = 48;

/** A string as JSON has it. */
export function quote(text: string): string {
  return text.length > SHORT || NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Own names in the order of their UTF-16 code units (RFC 8785, section 3.2.3). */
export function sortedNames(object: object): readonly string[] {
  const names = Object.keys(object);
  if (names.length > FEW) return names.sort();
  for (let i = 1; i < names.length; i++) {
    const name = names[i] as string;
    let at = i;
    for (; at > 0 && (names[at - 1] as string) > name; at--) names[at] = names[at - 1] as string;
    names[at] = name;
  }
  return names;
}

/**
 * The text of everything but objects; `undefined` for what JSON leaves out. Forms that are not
 * JSON (`!NaN`, `1n`) cannot be taken for content that is.
 */
export function primitiveText(value: unknown): string | undefined {
  if (typeof value === 'string') return quote(value);
  // How ECMAScript writes numbers is how RFC 8785 does, -0 as 0 included.
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `!${value}`;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return `${value}n`;
  return value === null ? 'null' : undefined;
}
