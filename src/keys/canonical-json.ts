import { types } from 'node:util';
import { sha256 } from './record-id.js';

/** From this depth on, a stack in memory replaces the call stack. */
const DEEPEST_RECURSION = 64;

/**
 * The same text for values with the same content, and different text for others. It is canonical
 * JSON (RFC 8785) for anything that JSON can hold. Numbers that are not finite, bigints, bytes,
 * `Map` and `Set` (in any order) have forms that are not JSON, so nothing else looks like them.
 * Dates and other objects with `toJSON` count as what that returns. Members that are `undefined`,
 * functions or symbols are left out, and are `null` in lists, as in JSON.
 *
 * The time grows with the content (the names of each object are sorted), and the call stack does
 * not grow with its depth.
 *
 * @throws {@link NotComparableError} for circular structures, for objects that JSON would write
 *   as `{}` whatever their content, such as promises and regular expressions, and for values
 *   without content: `undefined`, a function, a symbol
 */
export function canonicalJson(value: unknown): string {
  const text = write(value, 0, 0);
  if (text === undefined)
    throw new NotComparableError(`A value of type ${typeof value} has no content.`);
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

/** An object or list that is partly written. */
interface Frame {
  /** The object before `toJSON`, to which a circle would come back. */
  readonly found: object;
  readonly members: Readonly<Record<number | string, unknown>>;
  /** `undefined` in a list. */
  readonly names: readonly string[] | undefined;
  readonly size: number;
  next: number;
  isEmpty: boolean;
}

/**
 * Canonical text of an object without recursion, for content that is nested too deeply for it. A
 * circular structure is always nested too deeply, so circles are found here.
 *
 * @throws {@link NotComparableError} for circular structures
 */
function writeDeep(root: object, collections: number, write: Write): string {
  const chunks: string[] = [];
  const frames: Frame[] = [];
  const open = new Set<object>();

  /** Adds a prefix and the value, or the beginning of the value. */
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

/** How deep sets and maps may be nested. Everything else may be nested without limit. */
const DEEPEST_COLLECTION = 8;

/** Writes a value that is `depth` levels down in the `collections`-th set or map. */
type Write = (value: unknown, depth: number, collections: number) => string | undefined;

/** True for plain objects and lists, of which nothing counts but their members. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    typeof (value as { toJSON?: unknown }).toJSON !== 'function'
  );
}

/**
 * What represents an object that is not plain: its text, `undefined` for anything that JSON leaves
 * out, or an object or list to write member by member.
 *
 * @throws {@link NotComparableError} for objects whose content cannot be read
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
  // toJSON is called only once, as by JSON.stringify.
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
    // The order in which members were added does not count.
    const members = Array.from(value, (member) => write(member, 0, collections + 1) ?? 'null');
    return `!${types.isSet(value) ? 'set' : 'map'}[${members.sort().join()}]`;
  }
  if (types.isBoxedPrimitive(value)) return primitiveText(value.valueOf());
  if (isOpaque(value)) {
    throw new NotComparableError(`The content of a ${kindOf(value)} cannot be read.`);
  }
  return undefined;
}

/** Bytes are represented by their digest, so that a file is not copied. */
function bytesText(view: ArrayBufferView): string {
  const kind = types.isUint8Array(view) ? 'bytes' : kindOf(view);
  return `!${kind}:${view.byteLength}:${sha256(view)}`;
}

/** JSON would write `{}` for all of these, so they would all look the same. */
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

/** Up to this many names, insertion sort is faster than `Array.sort`. */
const FEW = 12;

/** Everything that `JSON.stringify` escapes, and surrogates, which it escapes when lone. */
// oxlint-disable-next-line no-control-regex -- finding them is the purpose
const NEEDS_ESCAPE = /["\\\x00-\x1f\ud800-\udfff]/;

/** Up to this length, checking the characters is cheaper than `JSON.stringify`. */
const SHORT = 48;

/** A string as JSON writes it. */
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
 * The text of anything but an object; `undefined` for anything that JSON leaves out. Forms that are
 * not JSON (`!NaN`, `1n`) cannot be mistaken for content that is.
 */
function primitiveText(value: unknown): string | undefined {
  if (typeof value === 'string') return quote(value);
  // RFC 8785 writes numbers as ECMAScript does, including -0 as 0.
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : `!${value}`;
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return `${value}n`;
  return value === null ? 'null' : undefined;
}
