import { types } from 'node:util';
import { NotComparableError, primitiveText } from './canonical-text.js';
import { sha256 } from './sha256.js';

/** Sets and maps inside of each other; everything else may be nested without limit. */
const DEEPEST_COLLECTION = 8;

/** Writes a value that is `depth` levels down in the `collections`-th set or map. */
export type Write = (value: unknown, depth: number, collections: number) => string | undefined;

/**
 * True for objects and lists that are what they look like: nothing but their members counts.
 */
export function isPlain(value: object): boolean {
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
export function reduceObject(
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
