import { writeDeep } from './canonical-deep.js';
import { NotComparableError, primitiveText, quote, sortedNames } from './canonical-text.js';
import { isPlain, reduceObject } from './canonical-values.js';

export { NotComparableError };

/** From here on a stack in memory takes the place of the call stack. */
const DEEPEST_RECURSION = 64;

/**
 * The same text for values with the same content, another one for others: canonical JSON
 * (RFC 8785) for what JSON can hold. Beyond it, numbers that are not finite, bigints, bytes,
 * `Map` and `Set` (in any order) have forms that are not JSON, so that nothing else reads like
 * them. Dates and other objects with `toJSON` count as what that answers; members that are
 * `undefined`, functions or symbols are left out, and are `null` in lists, as in JSON.
 *
 * Takes time in proportion to the content (the names of one object are sorted) and no call
 * stack in proportion to its depth.
 *
 * @throws {@link NotComparableError} for circular structures, for objects that JSON would read
 *   as `{}` whatever their content, such as promises and regular expressions, and for what is
 *   no content at all: `undefined`, a function, a symbol
 */
export function canonicalJson(value: unknown): string {
  const text = write(value, 0, 0);
  if (text === undefined) throw new NotComparableError(`There is no content in ${typeof value}.`);
  return text;
}

function write(value: unknown, depth: number, collections: number): string | undefined {
  if (typeof value !== 'object' || value === null) return primitiveText(value);
  if (depth === DEEPEST_RECURSION) return writeDeep(value, collections, write);
  const reduced = isPlain(value) ? value : reduceObject(value, collections, write);
  if (typeof reduced !== 'object') return reduced;
  return Array.isArray(reduced)
    ? writeList(reduced, depth, collections)
    : writeObject(reduced as Readonly<Record<string, unknown>>, depth, collections);
}

function writeList(list: readonly unknown[], depth: number, collections: number): string {
  let text = '[';
  for (let i = 0; i < list.length; i++) {
    if (i > 0) text += ',';
    text += write(list[i], depth + 1, collections) ?? 'null';
  }
  return text + ']';
}

function writeObject(
  object: Readonly<Record<string, unknown>>,
  depth: number,
  collections: number,
): string {
  let text = '{';
  for (const name of sortedNames(object)) {
    const member = write(object[name], depth + 1, collections);
    if (member === undefined) continue;
    text += `${text.length > 1 ? ',' : ''}${quote(name)}:${member}`;
  }
  return text + '}';
}
