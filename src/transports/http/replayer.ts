import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { HeaderField, HttpReply } from '../../replies/reply.js';
import type { HttpExchange } from './exchange.js';
import { EXPOSE_HEADER, exposing, REPLAYED_HEADER } from './headers.js';
import { Overlay } from './recorded-response.js';

const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 304]);

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
const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/**
 * Answers a duplicate with the recorded reply, and seals the response. The framework then tries to
 * send what the pipeline ends with, which must change nothing.
 */
export function replay(
  exchange: HttpExchange,
  reply: HttpReply,
  maxResponseBytes: number,
): Awaitable<void> {
  const { raw, surroundings: base } = exchange;
  const limit = { maxOutputLength: Math.max(MOST_UNPACKED * maxResponseBytes, LEAST_LIMIT_BYTES) };
  const accepts = exchange.request.headers['accept-encoding'];
  return chain(negotiate(reply, accepts, limit), (accepted) => {
    writeReply(raw, base, accepted);
    // Sealed only now, because the framework must answer if the reply cannot be written.
    seal(exchange);
  });
}

/** From now on, nothing that the framework does to this response has an effect. */
export function seal({ raw, response }: HttpExchange): void {
  response.hijack?.();
  if (raw === (response as unknown)) return void SEALED_NATIVE.cover(raw);
  SEALED_RAW.cover(raw);
  SEALED_REPLY.cover(response);
}

/** Writes a recorded reply over whatever is on the response. */
export function writeReply(raw: ServerResponse, base: OutgoingHttpHeaders, reply: HttpReply): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  for (const name of Object.keys(base)) setHeader(raw, name, base[name]);
  for (const [name, value] of reply.headers) setHeader(raw, name, value);
  raw.setHeader(REPLAYED_HEADER, 'true');
  const exposed = exposing(base, REPLAYED_HEADER);
  if (exposed !== undefined) raw.setHeader(EXPOSE_HEADER, exposed);
  const hasBody = !NO_BODY_STATUS.has(reply.status);
  if (hasBody) raw.setHeader('Content-Length', reply.body.length);
  // Middleware may end the response later, when it is sealed. The head must be written before that.
  raw.writeHead(reply.status);
  if (hasBody) raw.end(reply.body);
  else raw.end();
}

function setHeader(
  raw: ServerResponse,
  name: string,
  value: HeaderField[1] | number | undefined,
): void {
  if (value !== undefined && raw.getHeader(name) !== value)
    raw.setHeader(name, value as string | string[]);
}

/**
 * A reply that was compressed for one client may be replayed to another that does not accept it.
 */
function negotiate(
  reply: HttpReply,
  accepted: string | string[] | undefined,
  limit: Limit,
): Awaitable<HttpReply> {
  const field = reply.headers.find(([name]) => name.toLowerCase() === 'content-encoding');
  const encoding = String(field?.[1] ?? 'identity').toLowerCase();
  const decode = DECODERS[encoding];
  if (decode === undefined || accepts(String(accepted ?? ''), encoding)) return reply;
  return decode(reply.body, limit).then(
    (body) => ({ ...reply, body, headers: reply.headers.filter((header) => header !== field) }),
    // If it is not what its header says, or is far too large, it is sent as it was the first time.
    () => reply,
  );
}

/** `Accept-Encoding` (RFC 9110, section 12.5.3); if the field is absent, nothing is compressed. */
function accepts(field: string, encoding: string): boolean {
  const weights = new Map<string, boolean>();
  for (const item of field.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    weights.set(name, !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)));
  }
  return weights.get(encoding) ?? weights.get('*') ?? false;
}

type Chainable = (this: unknown) => unknown;
const same: Chainable = function () {
  return this;
};
const nothing = (): undefined => undefined;

/** What frameworks do with a raw response after it was answered. */
const rawMembers = {
  setHeader: same,
  appendHeader: same,
  removeHeader: nothing,
  writeHead: same,
  flushHeaders: nothing,
  write: () => true,
  end: same,
};

/** What Nest's adapters call on a framework's response. */
const replyMembers = {
  send: same,
  json: same,
  status: same,
  code: same,
  redirect: same,
  render: nothing,
  view: same,
};

const SEALED_RAW = new Overlay(rawMembers);
const SEALED_REPLY = new Overlay(replyMembers);
/** For frameworks in which the two are one, such as Express. */
const SEALED_NATIVE = new Overlay(rawMembers, replyMembers);
