import { DefaultDeserializer, serialize } from 'node:v8';
import { type Keeping, standInsFor } from './kept-value.js';
import { NotKeepableError } from './not-keepable.js';
import { plainnessOf } from './plain-values.js';
import { areForeign, restored, type Restoring } from './restored-value.js';

/** How the values of a call are kept and restored. */
export type ReplyValues = Keeping & Restoring;

/**
 * Layout of a value: one byte of form, then
 * - json: its JSON text in UTF-8;
 * - clone: its structured clone, in V8's format;
 * - marked: the same, for `[value, marks]`, where some objects stand in for others.
 */
const FORMS = { json: 1, clone: 2, marked: 3 } as const;

/**
 * A value as bytes. Plain values cost one look at each member. Instances and other special objects
 * are copied.
 *
 * @param prefix how many bytes to leave free at the beginning
 * @throws {@link NotKeepableError}
 */
export function encodeValue(value: unknown, keeping: Keeping, prefix = 0): Buffer {
  switch (plainnessOf(value)) {
    case 'json': {
      const text = JSON.stringify(value);
      const bytes = Buffer.allocUnsafe(prefix + 1 + Buffer.byteLength(text));
      bytes[prefix] = FORMS.json;
      bytes.write(text, prefix + 1);
      return bytes;
    }
    case 'clone':
      return cloned(value, FORMS.clone, prefix);
    case 'special': {
      const { copy, marked } = standInsFor(value, keeping);
      return marked.length === 0
        ? cloned(copy, FORMS.clone, prefix)
        : cloned([copy, marked], FORMS.marked, prefix);
    }
  }
}

function cloned(value: unknown, form: number, prefix: number): Buffer {
  let content: Buffer;
  try {
    content = serialize(value);
  } catch {
    // Detached bytes, or more than V8 writes.
    throw new NotKeepableError(undefined, 'more than the engine can copy');
  }
  const bytes = Buffer.allocUnsafe(prefix + 1 + content.length);
  bytes[prefix] = form;
  bytes.set(content, prefix + 1);
  return bytes;
}

/**
 * Every call makes new objects, because callers may change them.
 *
 * @throws for bytes that are no value, and for types that are not known
 */
export function decodeValue(bytes: Uint8Array, restoring: Restoring): unknown {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset + 1, Math.max(bytes.length - 1, 0));
  switch (bytes[0]) {
    case FORMS.json:
      return JSON.parse(content.toString());
    case FORMS.clone: {
      const value = clone(content);
      return areForeign ? restored(value, [], restoring) : value;
    }
    case FORMS.marked: {
      const [value, marked] = clone(content) as [unknown, unknown];
      return restored(value, marked, restoring);
    }
    case undefined:
      break;
  }
  throw new TypeError('There is no such form.');
}

/**
 * Reads a structured clone in V8's format.
 *
 * @throws for anything else
 */
export function clone(content: Uint8Array): unknown {
  const reader = new OwnBytes(content);
  reader.readHeader();
  return reader.readValue();
}

/** Node's own reader, with a member that is not in its types. */
const NodeReader = DefaultDeserializer as unknown as new (
  content: Uint8Array,
) => DefaultDeserializer & { _readHostObject(): NodeJS.ArrayBufferView };

/**
 * Views of Node's own reader are on the memory that it reads, or on that which all buffers of the
 * process share. Here each has its own bytes, so that nobody finds more in `view.buffer`, or changes the
 * record with it.
 */
class OwnBytes extends NodeReader {
  override _readHostObject(): NodeJS.ArrayBufferView {
    const view = super._readHostObject();
    const { buffer, byteOffset, byteLength } = view;
    const own = buffer.slice(byteOffset, byteOffset + byteLength);
    if (Buffer.isBuffer(view)) return Buffer.from(own);
    return new (view.constructor as new (bytes: ArrayBufferLike) => NodeJS.ArrayBufferView)(own);
  }
}
