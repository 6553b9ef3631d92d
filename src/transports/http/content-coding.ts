import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Awaitable } from '../../engine/awaitable.js';
import type { HeaderField, HttpReply } from '../../replies/reply.js';

/**
 * How much larger than the limit a kept reply may be once it is unpacked. Text seldom shrinks to
 * less than a twentieth, but zeros would shrink to a thousandth.
 */
const MOST_UNPACKED = 32;

/** The least limit, if very small replies are kept. */
const LEAST_LIMIT_BYTES = 2 ** 20;

interface Limit {
  readonly maxOutputLength: number;
}

type Decode = (body: Uint8Array, limit: Limit) => Promise<Uint8Array>;

const inflate: Decode = promisify(zlib.inflate);
const inflateRaw: Decode = promisify(zlib.inflateRaw);

/** The content codings that this process can decode (RFC 9110, section 8.4.1; RFC 8878). */
const DECODERS: ReadonlyMap<string, Decode> = new Map([
  ['gzip', promisify(zlib.gunzip) as Decode],
  // Some senders leave out the header of the zlib format (RFC 9110, section 8.4.1.2).
  ['deflate', (body, limit) => (hasZlibHeader(body) ? inflate : inflateRaw)(body, limit)],
  ['br', promisify(zlib.brotliDecompress) as Decode],
  ...zstd(),
]);

/** What newer versions of Node decode. Another process of the application may be one of them. */
const NEWER: ReadonlySet<string> = new Set(['zstd']);

/** Node has it from 22.15 and 23.8 on. */
function* zstd(): Generator<[string, Decode]> {
  const decompress = Reflect.get(zlib, 'zstdDecompress') as typeof zlib.gunzip | undefined;
  if (decompress !== undefined) yield ['zstd', promisify(decompress) as Decode];
}

/** RFC 1950, section 2.2. */
function hasZlibHeader(body: Uint8Array): boolean {
  const [method = 0, flags = 0] = body;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}

/**
 * Made over the encoded bytes: digests (RFC 9530; RFC 3230; RFC 1864), byte ranges, and signatures
 * over any of these (RFC 9421).
 */
const OF_ENCODED_BYTES: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-digest',
  'repr-digest',
  'digest',
  'content-md5',
  'content-range',
  'accept-ranges',
  'signature',
  'signature-input',
]);

/** A recorded reply in the form in which it is sent. */
export interface SentReply extends HttpReply {
  /** It was decoded, because the client does not accept how it was recorded. */
  readonly isDecoded?: boolean;
}

/** A recorded reply that a request cannot get, because it does not accept its form. */
export class NotAcceptable {
  constructor(
    /** What the caller can do. */
    readonly detail: string,
    /** Another process may have the decoder that this one lacks. */
    readonly mayDecodeElsewhere = false,
  ) {}
}

/**
 * Brings a recorded reply into a form that the client accepts. A reply that was encoded for one
 * client may be replayed to another.
 *
 * @param accepted the header `Accept-Encoding`; if it is absent, the client accepts anything
 *   (RFC 9110, section 12.5.3)
 */
export function negotiate(
  reply: HttpReply,
  accepted: string | string[] | undefined,
  maxResponseBytes: number,
): Awaitable<SentReply | NotAcceptable> {
  if (accepted === undefined || reply.body.length === 0) return reply;
  const codings = codingsOf(reply.headers);
  if (codings.length === 0) return reply;
  const isAccepted = acceptance(String(accepted));
  if (codings.every(isAccepted)) return reply;
  const kept = codings.findIndex((coding) => !isAccepted(coding));
  if (kept === 0 && !isAccepted('identity')) return notAcceptable(codings);
  return decoded(reply, codings, kept, maxResponseBytes);
}

/** In the order in which they were applied. */
function codingsOf(headers: readonly HeaderField[]): string[] {
  return headers
    .filter(([name]) => name.toLowerCase() === 'content-encoding')
    .flatMap(([, value]) => String(value).toLowerCase().split(','))
    .map((coding) => withoutAlias(coding.trim()))
    .filter((coding) => coding !== '' && coding !== 'identity');
}

/** RFC 9110, section 8.4.1.3. */
function withoutAlias(coding: string): string {
  return coding === 'x-gzip' ? 'gzip' : coding;
}

/** Says which codings the value of `Accept-Encoding` allows. */
function acceptance(field: string): (coding: string) => boolean {
  const weights = new Map<string, boolean>();
  for (const item of field.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    if (name === '') continue;
    const isRefused = parameters.some((parameter) => /^q\s*=\s*0(\.0*)?$/.test(parameter));
    weights.set(withoutAlias(name), !isRefused);
  }
  const others = weights.get('*');
  return (coding) => weights.get(coding) ?? others ?? coding === 'identity';
}

/** Takes off all codings but the first ones, last first. */
async function decoded(
  reply: HttpReply,
  codings: readonly string[],
  kept: number,
  maxResponseBytes: number,
): Promise<SentReply | NotAcceptable> {
  // A part of something encoded cannot be decoded.
  if (reply.status === 206) return notAcceptable(codings);
  const limit = { maxOutputLength: Math.max(MOST_UNPACKED * maxResponseBytes, LEAST_LIMIT_BYTES) };
  let { body } = reply;
  for (const coding of codings.slice(kept).reverse()) {
    const decode = DECODERS.get(coding);
    if (decode === undefined) return notAcceptable(codings, NEWER.has(coding));
    try {
      body = await decode(body, limit);
    } catch {
      // It is not what its header says, or far too large.
      return notAcceptable(codings);
    }
  }
  const headers = withoutEncoded(reply.headers, codings.slice(0, kept));
  const trailers = reply.trailers.filter(([name]) => !OF_ENCODED_BYTES.has(name.toLowerCase()));
  return { ...reply, body, headers, trailers, isDecoded: true };
}

function withoutEncoded(
  headers: readonly HeaderField[],
  codings: readonly string[],
): readonly HeaderField[] {
  const others = headers
    .filter(([name]) => !OF_ENCODED_BYTES.has(name.toLowerCase()))
    .map((field): HeaderField => {
      const [name, value] = field;
      // A strong validator names these bytes and no others (RFC 9110, section 8.8.1).
      const isStrong = name.toLowerCase() === 'etag' && !String(value).startsWith('W/');
      return isStrong ? [name, `W/${String(value)}`] : field;
    });
  return codings.length === 0 ? others : [...others, ['content-encoding', codings.join(', ')]];
}

function notAcceptable(codings: readonly string[], mayDecodeElsewhere = false): NotAcceptable {
  const list = codings.join(', ');
  return new NotAcceptable(
    `The recorded reply is encoded as ${list}, which this request does not accept. Repeat the call with the same key and content, and with "Accept-Encoding: ${list}".`,
    mayDecodeElsewhere,
  );
}
