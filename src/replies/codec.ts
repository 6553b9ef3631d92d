import type { Keeping } from './kept-value.js';
import { type Restoring, UnknownTypeError } from './restored-value.js';
import {
  type BodyForm,
  EmittedValues,
  type HeaderField,
  type HttpReply,
  type Reply,
  ShapedError,
} from './reply.js';
import { decodeValue, encodeValue } from './values.js';

/**
 * Layout of a recorded reply: one byte of format version, one of kind, then
 * - http: four bytes with the length of the head (big endian), the head as JSON
 *   `[status, [[name, value], …], { form, trailers, isGiven }]` in UTF-8, and the body's bytes to the
 *   end. The third part is left out if it is empty;
 * - value, error: a value (`values.ts`);
 * - values: the same, for a list of them;
 * - shaped: the same, for the data of a {@link ShapedError};
 * - not kept: nothing.
 */
const VERSION = 1;
const KINDS = {
  'not-kept': 0,
  http: 1,
  value: 6,
  values: 7,
  error: 8,
  shaped: 9,
} as const satisfies Record<Reply['kind'] | 'values' | 'shaped', number>;
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
  readonly isGiven?: boolean;
}

export function encodeHttpReply(
  status: number,
  headers: readonly HeaderField[],
  body: Uint8Array,
  { form, trailers, isGiven }: HttpReplyExtras = {},
): Uint8Array {
  const hasExtras = form !== undefined || trailers !== undefined || isGiven !== undefined;
  const head = JSON.stringify(
    hasExtras ? [status, headers, { form, trailers, isGiven }] : [status, headers],
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
 * Keeps a value so that an equal one comes back.
 *
 * @throws {@link NotKeepableError} if that is not possible
 */
export function encodeValueReply(value: unknown, keeping: Keeping): Uint8Array {
  return value instanceof EmittedValues
    ? withKind(KINDS.values, encodeValue(value.values, keeping, PREFIX_BYTES))
    : withKind(KINDS.value, encodeValue(value, keeping, PREFIX_BYTES));
}

/** Like {@link encodeValueReply}, for what was thrown. */
export function encodeErrorReply(error: unknown, keeping: Keeping): Uint8Array {
  return error instanceof ShapedError
    ? withKind(KINDS.shaped, encodeValue(error.data, keeping, PREFIX_BYTES))
    : withKind(KINDS.error, encodeValue(error, keeping, PREFIX_BYTES));
}

/**
 * @param restoring what is known about values; an HTTP reply needs nothing
 * @throws {@link UnreadableReplyError}
 */
export function decodeReply(bytes: Uint8Array, restoring?: Restoring): Reply {
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
      case KINDS['not-kept']:
        return { kind: 'not-kept' };
      case undefined:
        break;
    }
    if (restoring !== undefined) {
      const reply = decodeValueReply(bytes[1], content, restoring);
      if (reply !== undefined) return reply;
    }
  } catch (cause) {
    const because = cause instanceof UnknownTypeError ? cause.message : 'The record is damaged.';
    throw new UnreadableReplyError(because, { cause });
  }
  throw new UnreadableReplyError('This version does not know the kind of reply in the record.');
}

function decodeValueReply(
  kind: number | undefined,
  content: Buffer,
  restoring: Restoring,
): Reply | undefined {
  const value = (): unknown => decodeValue(content, restoring);
  switch (kind) {
    case KINDS.value:
      return { kind: 'value', value: value() };
    case KINDS.values:
      return { kind: 'value', value: new EmittedValues(value() as unknown[]) };
    case KINDS.error:
      return { kind: 'error', error: value() };
    case KINDS.shaped:
      return { kind: 'error', error: new ShapedError(value()) };
    case undefined:
      break;
  }
  return undefined;
}

function decodeHttp(content: Buffer): HttpReply {
  const bodyAt = HEAD_LENGTH_BYTES + content.readUInt32BE(0);
  if (bodyAt > content.length) throw new RangeError('The head is longer than the record.');
  const [status, headers, { form, trailers = [], isGiven = false } = {}] = JSON.parse(
    content.toString('utf8', HEAD_LENGTH_BYTES, bodyAt),
  ) as [number, HeaderField[], HttpReplyExtras?];
  const body = content.subarray(bodyAt);
  return { kind: 'http', status, headers, body, form, trailers, isGiven };
}

function withKind(kind: number, bytes: Buffer): Uint8Array {
  bytes[0] = VERSION;
  bytes[1] = kind;
  return bytes;
}
