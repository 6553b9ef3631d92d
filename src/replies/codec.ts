import { deserialize, serialize } from 'node:v8';
import {
  type BodyForm,
  EmittedValues,
  type HeaderField,
  type HttpReply,
  type Reply,
  TypedValue,
} from './reply.js';

/**
 * Layout of a recorded reply: one byte of format version, one of kind, then
 * - http: four bytes with the length of the head (big endian), the head as JSON
 *   `[status, [[name, value], …], { form, trailers }]` in UTF-8, and the body's bytes to the end. The
 *   third part is left out if it is empty;
 * - value, error: its structured clone, in V8's format;
 * - values: the same, for a list of them;
 * - typed: the same, for a value and the types of its objects;
 * - not kept: nothing.
 */
const VERSION = 1;
const KINDS = {
  'not-kept': 0,
  http: 1,
  value: 2,
  error: 3,
  values: 4,
  typed: 5,
} as const satisfies Record<Reply['kind'] | 'values' | 'typed', number>;
const PREFIX_BYTES = 2;
const HEAD_LENGTH_BYTES = 4;

/** A recorded reply that this version of the library cannot read. */
export class UnreadableReplyError extends Error {
  override readonly name = 'UnreadableReplyError';
}

/** The tombstone as bytes. */
export const NOT_KEPT: Uint8Array = Buffer.from([VERSION, KINDS['not-kept']]);

/** What few HTTP replies have beyond status, headers and body. */
export interface HttpReplyExtras {
  readonly form?: BodyForm;
  readonly trailers?: readonly HeaderField[];
}

export function encodeHttpReply(
  status: number,
  headers: readonly HeaderField[],
  body: Uint8Array,
  { form, trailers }: HttpReplyExtras = {},
): Uint8Array {
  const hasExtras = form !== undefined || trailers !== undefined;
  const head = JSON.stringify(
    hasExtras ? [status, headers, { form, trailers }] : [status, headers],
  );
  const headLength = Buffer.byteLength(head);
  const bodyAt = PREFIX_BYTES + HEAD_LENGTH_BYTES + headLength;
  const bytes = Buffer.allocUnsafe(bodyAt + body.length);
  bytes[0] = VERSION;
  bytes[1] = KINDS.http;
  bytes.writeUInt32BE(headLength, PREFIX_BYTES);
  bytes.write(head, PREFIX_BYTES + HEAD_LENGTH_BYTES);
  bytes.set(body, bodyAt);
  return bytes;
}

/**
 * Keeps a value with its types: `Date`, `bigint`, `Buffer`, `Map`, `Set`, `undefined`, circular
 * references. A class instance comes back as a plain object.
 *
 * @throws if the value contains something that cannot be kept, such as a function
 */
export function encodeValueReply(value: unknown): Uint8Array {
  if (value instanceof EmittedValues) return withPrefix(KINDS.values, serialize(value.values));
  return value instanceof TypedValue
    ? withPrefix(KINDS.typed, serialize([value.value, value.types]))
    : withPrefix(KINDS.value, serialize(value));
}

/** Like {@link encodeValueReply}, for what was thrown. */
export function encodeErrorReply(error: unknown): Uint8Array {
  return withPrefix(KINDS.error, serialize(error));
}

/** @throws {@link UnreadableReplyError} */
export function decodeReply(bytes: Uint8Array): Reply {
  if (bytes.length < PREFIX_BYTES || bytes[0] !== VERSION)
    throw new UnreadableReplyError(
      'This version cannot read the format in which the record was written.',
    );
  const content = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + PREFIX_BYTES,
    bytes.length - PREFIX_BYTES,
  );
  try {
    switch (bytes[1]) {
      case KINDS.http:
        return decodeHttp(content);
      case KINDS.value:
        return { kind: 'value', value: decodeValue(content) };
      case KINDS.values:
        return { kind: 'value', value: new EmittedValues(decodeValue(content) as unknown[]) };
      case KINDS.typed: {
        const [value, types] = decodeValue(content) as [unknown, Map<object, string>];
        return { kind: 'value', value: new TypedValue(value, types) };
      }
      case KINDS.error:
        return { kind: 'error', error: decodeValue(content) };
      case KINDS['not-kept']:
        return { kind: 'not-kept' };
      case undefined:
        break;
    }
  } catch (cause) {
    throw new UnreadableReplyError('The record is damaged.', { cause });
  }
  throw new UnreadableReplyError('This version does not know the kind of reply in the record.');
}

/**
 * Copied, because bytes in the value would be those of the record, which other callers read too.
 */
function decodeValue(content: Buffer): unknown {
  return deserialize(Buffer.from(content));
}

function decodeHttp(content: Buffer): HttpReply {
  const bodyAt = HEAD_LENGTH_BYTES + content.readUInt32BE(0);
  if (bodyAt > content.length) throw new RangeError('The head is longer than the record.');
  const [status, headers, { form, trailers = [] } = {}] = JSON.parse(
    content.toString('utf8', HEAD_LENGTH_BYTES, bodyAt),
  ) as [number, HeaderField[], HttpReplyExtras?];
  return { kind: 'http', status, headers, body: content.subarray(bodyAt), form, trailers };
}

function withPrefix(kind: number, content: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + content.length);
  bytes[0] = VERSION;
  bytes[1] = kind;
  bytes.set(content, PREFIX_BYTES);
  return bytes;
}
