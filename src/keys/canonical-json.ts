import { types } from 'node:util';
import { sha256 } from './record-id.js';

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

/** An object or list of which some members are written. */
interface Frame {
  /** As it was found, before `toJSON`: what a circle comes back to. */
  readonly found: object;
  readonly members: Readonly<Record<number | string, unknown>>;
  /** `undefined` in a list. */
  readonly names: readonly string[] | undefined;
  readonly size: number;
  next: number;
  isEmpty: boolean;
}

/**
 * Canonical text of an object without recursion, for content that is nested too deeply for it.
 * A structure without end is always nested too deeply, so that circles are found here.
 *
 * @throws {@link NotComparableError} for circular structures
 */
function writeDeep(root: object, collections: number, write: Write): string {
  const chunks: string[] = [];
  const frames: Frame[] = [];
  const open = new Set<object>();

  /** Adds what goes before a value and the value, or the beginning of it. */
  function add(prefix: string, value: unknown, isInList: boolean): boolean {
    const reduced =
      typeof value !== 'object' || value === null
        ? primitiveText(value)
        : isPlain(value)
          ? value
          : reduceObject(value, collections, write);
    if (typeof reduced !== 'object') {
      if (reduced === undefined && !isInList) return false;
      chunks.push(prefix, reduced ?? 'null');
      return true;
    }
    const found = value as object;
    if (open.has(found)) throw new NotComparableError('The structure is circular.');
    open.add(found);
    const names = Array.isArray(reduced) ? undefined : sortedNames(reduced);
    const size = names === undefined ? (reduced as readonly unknown[]).length : names.length;
    const members = reduced as Frame['members'];
    frames.push({ found, members, names, size, next: 0, isEmpty: true });
    chunks.push(prefix, names === undefined ? '[' : '{');
    return true;
  }

  add('', root, true);
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const { names } = frame;
    if (frame.next === frame.size) {
      chunks.push(names === undefined ? ']' : '}');
      open.delete(frame.found);
      frames.pop();
      continue;
    }
    const comma = frame.isEmpty ? '' : ',';
    const name = names?.[frame.next] ?? frame.next;
    frame.next++;
    const prefix = typeof name === 'string' ? `${comma}${quote(name)}:` : comma;
    if (add(prefix, frame.members[name], names === undefined)) frame.isEmpty = false;
  }
  return chunks.join('');
}

/** Sets and maps inside of each other; everything else may be nested without limit. */
const DEEPEST_COLLECTION = 8;

/** Writes a value that is `depth` levels down in the `collections`-th set or map. */
type Write = (value: unknown, depth: number, collections: number) => string | undefined;

/**
 * True for objects and lists that are what they look like: nothing but their members counts.
 */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    typeof (value as { toJSON?: unknown }).toJSON !== 'function'
  );
}

/**
 * What an object that is not plain stands for: its text, `undefined` for what JSON leaves out,
 * or an object or list to be written member by member.
 *
 * @throws {@link NotComparableError} for objects whose content cannot be seen
 */
function reduceObject(
  value: object,
  collections: number,
  write: Write,
): string | undefined | object {
  const text = exoticText(value, collections, write);
  if (text !== undefined) return text;
  const { toJSON } = value as { readonly toJSON?: unknown };
  if (typeof toJSON !== 'function') return value;
  const json: unknown = toJSON.call(value);
  // Not asked for its toJSON again: as with JSON.stringify, one answer is enough.
  if (typeof json !== 'object' || json === null) return primitiveText(json);
  return exoticText(json, collections, write) ?? json;
}

function exoticText(value: object, collections: number, write: Write): string | undefined {
  if (ArrayBuffer.isView(value)) return bytesText(value);
  if (types.isAnyArrayBuffer(value)) return bytesText(new Uint8Array(value));
  if (types.isSet(value) || types.isMap(value)) {
    if (collections === DEEPEST_COLLECTION) {
      throw new NotComparableError('Sets and maps are circular or nested too deeply.');
    }
    // The order in which members were added is not content.
    const members = Array.from(value, (member) => write(member, 0, collections + 1) ?? 'null');
    return `!${types.isSet(value) ? 'set' : 'map'}[${members.sort().join()}]`;
  }
  if (types.isBoxedPrimitive(value)) return primitiveText(value.valueOf());
  if (isOpaque(value)) {
    throw new NotComparableError(`The content of a ${kindOf(value)} cannot be seen.`);
  }
  return undefined;
}

/** Bytes by their digest, so that a file costs no copy of itself. */
function bytesText(view: ArrayBufferView): string {
  const kind = types.isUint8Array(view) ? 'bytes' : kindOf(view);
  return `!${kind}:${view.byteLength}:${sha256(view)}`;
}

/** JSON would write `{}` for these, and so take every one of them for every other. */
function isOpaque(value: object): boolean {
  if (types.isRegExp(value) || types.isNativeError(value)) return true;
  return (
    Symbol.toStringTag in value &&
    Object.keys(value).length === 0 &&
    typeof (value as { toJSON?: unknown }).toJSON !== 'function'
  );
}

/** `Promise` of `[object Promise]`. */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

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
function sortedNames(object: object): readonly string[] {
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
function primitiveText(value: unknown): string | undefined {
  if (typeof value === 'string') return quote(value);
  // How ECMAScript writes numbers is how RFC 8785 does, -0 as 0 included.
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `!${value}`;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return `${value}n`;
  return value === null ? 'null' : undefined;
}
