import { AsyncLocalStorage } from 'node:async_hooks';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { HeaderField, HttpReply } from '../../replies/reply.js';
import { negotiate, NotAcceptable, type SentReply } from './content-coding.js';
import type { HttpExchange } from './exchange.js';
import { runsHooks, sendThroughHooks } from './fastify-hooks.js';
import { EXPOSE_HEADER, exposing, REPLAYED_HEADER, varyingByEncoding } from './headers.js';
import { Overlay } from './recorded-response.js';
import { hasBody, isOld, outgoingTrailers } from './trailers.js';

/**
 * Answers a duplicate with the recorded reply, and seals the response. The framework then tries to
 * send what the pipeline ends with, which must change nothing.
 *
 * @returns why the client cannot get the reply, if so; then nothing was sent
 */
export function replay(
  exchange: HttpExchange,
  reply: HttpReply,
  maxResponseBytes: number,
): Awaitable<NotAcceptable | undefined> {
  const sent = sendRecorded(exchange, exchange.surroundings, reply, maxResponseBytes);
  return chain(sent, (refused) => {
    // Sealed only now, because the framework must answer if the reply cannot be sent.
    if (refused === undefined) seal(exchange);
    return refused;
  });
}

/**
 * Sends a recorded reply in place of whatever is on the response.
 *
 * @param base the headers that stay on it
 * @returns why the client cannot get the reply, if so; then nothing was sent
 */
export function sendRecorded(
  exchange: HttpExchange,
  base: OutgoingHttpHeaders,
  reply: HttpReply,
  maxResponseBytes: number,
): Awaitable<NotAcceptable | undefined> {
  const { raw, request } = exchange;
  if (reply.trailers.length > 0 && isOld(raw)) return new NotAcceptable(NEEDS_TRAILERS);
  const form = negotiate(reply, request.headers['accept-encoding'], maxResponseBytes);
  return chain(form, (sent) => {
    if (sent instanceof NotAcceptable) return sent;
    const fields = fieldsOf(raw, base, sent);
    if (runsHooks(exchange, sent))
      return sending
        .run(raw, () => sendThroughHooks(exchange, base, sent, fields))
        .then(() => undefined);
    write(raw, base, sent, fields);
    return undefined;
  });
}

const NEEDS_TRAILERS =
  'The recorded reply has trailers, which HTTP/1.0 cannot carry. Repeat the call with the same key and content over HTTP/1.1 or newer.';

/**
 * From now on, nothing that the framework does to this response has an effect. Middleware that sees
 * every reply may still be busy with it, and may set headers and end it later.
 */
export function seal({ raw, response }: HttpExchange): void {
  response.hijack?.();
  const isNative = raw === (response as unknown);
  beneath.set(raw, (isNative ? SEALED_NATIVE : SEALED_RAW).cover(raw) as ServerResponse);
  if (!isNative) SEALED_REPLY.cover(response);
}

/** The response that the current code sends: middleware runs in it, and the framework does not. */
const sending = new AsyncLocalStorage<ServerResponse>();
/** The members of sealed responses as they were. */
const beneath = new WeakMap<object, ServerResponse>();

/** The recorded headers, and those that say how the reply is sent. */
function fieldsOf(
  raw: ServerResponse,
  base: OutgoingHttpHeaders,
  { headers, trailers, isDecoded }: SentReply,
): HeaderField[] {
  const fields = [...headers];
  const at = (name: string): number => fields.findIndex(([one]) => one.toLowerCase() === name);
  if (isDecoded === true) {
    const known = at('vary');
    const given = known < 0 ? base['vary'] : String(fields[known]![1]);
    if (known >= 0) fields.splice(known, 1);
    fields.push(['Vary', varyingByEncoding(given)]);
  }
  // Announced, but never sent: of HTTP/1.0, Node refuses it.
  if (trailers.length === 0 && isOld(raw) && at('trailer') >= 0) fields.splice(at('trailer'), 1);
  // Of one connection, and this is another (RFC 9110, section 7.8). HTTP/2 has neither field.
  if (at('upgrade') >= 0)
    if (raw.req.httpVersionMajor === 1) fields.push(['Connection', 'Upgrade']);
    else fields.splice(at('upgrade'), 1);
  fields.push([REPLAYED_HEADER, 'true']);
  const exposed = exposing(base, REPLAYED_HEADER);
  if (exposed !== undefined) fields.push([EXPOSE_HEADER, exposed]);
  return fields;
}

function write(
  raw: ServerResponse,
  base: OutgoingHttpHeaders,
  { status, body, trailers }: HttpReply,
  fields: readonly HeaderField[],
): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  for (const name of Object.keys(base)) setHeader(raw, name, base[name]);
  for (const [name, value] of fields) setHeader(raw, name, value);
  const isChunked = trailers.length > 0 || raw.hasHeader('trailer');
  if (hasBody(status) && !isChunked) raw.setHeader('Content-Length', body.length);
  raw.statusCode = status;
  sending.run(raw, () => {
    if (!hasBody(status)) return void raw.end();
    if (!isChunked) return void raw.end(body);
    if (body.length > 0) raw.write(body);
    else raw.flushHeaders();
    raw.addTrailers(outgoingTrailers(trailers));
    raw.end();
  });
}

function setHeader(
  raw: ServerResponse,
  name: string,
  value: HeaderField[1] | number | undefined,
): void {
  if (value !== undefined && raw.getHeader(name) !== value)
    raw.setHeader(name, value as string | string[]);
}

type Method = (this: ServerResponse, ...args: unknown[]) => unknown;
type Sealed = 'setHeader' | 'setHeaders' | 'appendHeader' | 'removeHeader' | 'writeHead';

const same: Method = function () {
  return this;
};
const nothing = (): undefined => undefined;

/** Has an effect only where the reply is sent. */
function only(name: Sealed): Method {
  return function (...args) {
    const isSending = sending.getStore() === this;
    // Node writes the head itself, whoever ends the response.
    if (!isSending && (name !== 'writeHead' || this.headersSent)) return this;
    return Reflect.apply(beneath.get(this)![name], this, args) as unknown;
  };
}

/** What frameworks do with a raw response after it was answered. */
const rawMembers = {
  setHeader: only('setHeader'),
  setHeaders: only('setHeaders'),
  appendHeader: only('appendHeader'),
  removeHeader: only('removeHeader'),
  writeHead: only('writeHead'),
  flushHeaders: nothing,
  addTrailers: nothing,
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
