import { Logger } from '@nestjs/common';
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { pipeline, Readable, Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type ReadableStream, TransformStream } from 'node:stream/web';
import type { BodyForm, HeaderField, HttpReply } from '../../replies/reply.js';
import type { MadeReply } from './captured.js';
import type { FrameworkResponse, HttpExchange } from './exchange.js';
import { KeptBytes } from './reply-bytes.js';
import type { ResponseRecorder } from './response-recorder.js';

/** What Fastify sends: after serialization, and what its hooks make of it. */
type Payload = string | Uint8Array | Readable | ReadableStream | Response | null | undefined;

type HeaderValue = OutgoingHttpHeader | readonly string[] | undefined;

/** The part of Fastify's reply that is needed here. */
interface Reply extends FrameworkResponse {
  getHeader(name: string): OutgoingHttpHeader | undefined;
  header(name: string, value: unknown): unknown;
  code(status: number): unknown;
  send(payload: undefined): unknown;
  hasTrailer(name: string): boolean;
  removeTrailer(name: string): unknown;
  trailer(
    name: string,
    make: (reply: unknown, body: unknown, done: (error: null, value: unknown) => void) => void,
  ): unknown;
}

type Done = (error?: Error | null, payload?: unknown) => void;

type OnSend = (request: object, reply: Reply, payload: Payload, done: Done) => unknown;

/** What Fastify knows about a route, with the hooks that run on every reply. */
interface RouteContext {
  readonly onSend: readonly OnSend[] | null;
}

/**
 * Where Fastify keeps the context of a request. It is not part of its public interface, but the same
 * in all versions 4 and 5, and a test checks it.
 */
const CONTEXT = 'fastify.context';
let contextKey: symbol | undefined;
let hasWarned = false;

type Contextual = Record<symbol, RouteContext>;

function keyOf(request: object): symbol | undefined {
  if (contextKey === undefined || !(contextKey in request))
    contextKey = Object.getOwnPropertySymbols(request).find(
      ({ description }) => description === CONTEXT,
    );
  if (contextKey === undefined && !hasWarned) {
    hasWarned = true;
    new Logger('Idempotency').warn(
      'The onSend hooks of this version of Fastify cannot be found. They run on first replies, but not on replays. Use Fastify 5.',
    );
  }
  return contextKey;
}

/** The context in which a request is handled, if its route has hooks that see replies. */
function hooked(request: object): RouteContext | undefined {
  const key = keyOf(request);
  const context = key && (request as Contextual)[key];
  return context && (context.onSend?.length ?? 0) > 0 ? context : undefined;
}

const ORIGINS = new WeakMap<object, RouteContext>();

/** Contexts with hooks of this library around those of the application: one for each route. */
class Contexts {
  private readonly made = new WeakMap<object, RouteContext>();

  constructor(
    private readonly first: OnSend,
    private readonly last: readonly OnSend[] = [],
  ) {}

  /** From now on, the request is handled in its context with these hooks. */
  enter(request: object, context: RouteContext): void {
    const origin = ORIGINS.get(context) ?? context;
    let own = this.made.get(origin);
    if (own === undefined) {
      const value = [this.first, ...origin.onSend!, ...this.last];
      own = Object.create(origin, {
        onSend: { value, writable: true, enumerable: true, configurable: true },
      }) as RouteContext;
      this.made.set(origin, own);
      ORIGINS.set(own, origin);
    }
    (request as Contextual)[keyOf(request)!] = own;
  }
}

const FIRST_CALLS = new Contexts((request, reply, payload, done) => {
  const recorder = recorders.get(request)!;
  done(null, recorder.isCapturing ? recorded(recorder, reply, payload) : undefined);
});

const recorders = new WeakMap<object, ResponseRecorder>();

/**
 * Has the recorder see a reply before the hooks of the application do. They run on every reply, so
 * that what they add must not be on record: a replay would be signed or compressed twice, and have
 * the first caller's session.
 */
export function recordBeforeHooks({ request }: HttpExchange, recorder: ResponseRecorder): void {
  const context = hooked(request);
  if (context === undefined) return;
  recorder.hasHooks = true;
  recorders.set(request, recorder);
  FIRST_CALLS.enter(request, context);
}

/** Keeps what goes into the hooks. Returns what they get in its place, if that is something else. */
function recorded(recorder: ResponseRecorder, reply: Reply, given: Payload): Payload {
  const payload = withoutResponse(reply, given);
  const bytes = new KeptBytes(recorder.options.maxBytes);
  const made: MadeReply = {
    status: reply.statusCode,
    headers: reply.getHeaders(),
    form: formOf(payload),
    bytes,
    isWhole: false,
  };
  recorder.made = made;
  if (isNodeStream(payload)) {
    recorder.sources.watch(payload);
    return followed(payload, made);
  }
  if (isWebStream(payload)) return followedWeb(payload, made);
  if (typeof payload === 'string' || payload instanceof Uint8Array) bytes.add(payload);
  else if (payload !== undefined && payload !== null) return payload;
  made.isWhole = true;
  return payload;
}

function formOf(payload: Payload): BodyForm | undefined {
  if (payload === undefined || payload === null) return 'none';
  if (typeof payload === 'string') return 'text';
  return payload instanceof Uint8Array ? undefined : 'stream';
}

/** As Fastify itself does right after the hooks. */
function withoutResponse(reply: Reply, payload: Payload): Payload {
  if (Object.prototype.toString.call(payload) !== '[object Response]') return payload;
  const { status, headers, body, bodyUsed } = payload as Response;
  if (bodyUsed) return payload;
  reply.code(status);
  for (const [name, value] of headers) reply.header(name, value);
  return body as ReadableStream | null;
}

function isNodeStream(payload: Payload): payload is Readable {
  return typeof (payload as { pipe?: unknown } | null | undefined)?.pipe === 'function';
}

function isWebStream(payload: Payload): payload is ReadableStream {
  return typeof (payload as { getReader?: unknown } | null | undefined)?.getReader === 'function';
}

function followed(source: Readable, made: MadeReply): Readable {
  const follower = new Transform({
    objectMode: source.readableObjectMode,
    transform(chunk, encoding, done) {
      keep(made, chunk, encoding);
      done(null, chunk);
    },
    flush(done) {
      made.isWhole = true;
      done();
    },
  });
  pipeline(source, follower, () => undefined);
  return follower;
}

function followedWeb(source: ReadableStream, made: MadeReply): ReadableStream {
  // Fastify refuses it.
  if (source.locked) return source;
  return source.pipeThrough(
    new TransformStream({
      transform(chunk: unknown, controller) {
        keep(made, chunk);
        controller.enqueue(chunk);
      },
      flush() {
        made.isWhole = true;
      },
    }),
  );
}

function keep({ bytes }: MadeReply, chunk: unknown, encoding?: BufferEncoding): void {
  if (bytes.isOver) return;
  if (typeof chunk === 'string') bytes.add(chunk, encoding);
  // Copied, because whoever sends it may change it.
  else if (chunk instanceof Uint8Array) bytes.add(Buffer.from(chunk));
  if (bytes.isOver) bytes.clear();
}

/** A recorded reply on its way through the hooks. */
interface Outgoing {
  readonly reply: HttpReply;
  readonly fields: readonly HeaderField[];
  isHandedOver: boolean;
}

const outgoing = new WeakMap<object, Outgoing>();

const REPLAYS = new Contexts(
  (request, reply, _payload, done) => {
    const sent = outgoing.get(request)!;
    if (sent.isHandedOver) removeReplayed(reply, sent);
    done(null, sent.isHandedOver ? undefined : payloadOf(sent.reply));
    sent.isHandedOver = true;
  },
  [
    // In one piece, so that its length is known, and a slow client keeps no one waiting.
    (_request, _reply, payload, done) =>
      isNodeStream(payload) || isWebStream(payload) ? buffer(payload) : done(),
  ],
);

/** True if the hooks of the application must see this recorded reply before it is sent. */
export function runsHooks({ raw, request, response }: HttpExchange, { form }: HttpReply): boolean {
  return raw !== (response as unknown) && form !== 'raw' && hooked(request) !== undefined;
}

/**
 * Has Fastify send a recorded reply, through the hooks of the application.
 *
 * @param base the headers that stay on the reply
 * @param fields the headers that it gets
 */
export function sendThroughHooks(
  { raw, request, response }: HttpExchange,
  base: OutgoingHttpHeaders,
  reply: HttpReply,
  fields: readonly HeaderField[],
): Promise<void> {
  const fastify = response as Reply;
  for (const name of Object.keys(fastify.getHeaders()))
    if (!(name in base)) fastify.removeHeader(name);
  for (const [name, value] of [...Object.entries(base), ...fields]) setHeader(fastify, name, value);
  for (const [name, value] of reply.trailers)
    if (!fastify.hasTrailer(name))
      fastify.trailer(name, (_reply, _body, done) => done(null, value));
  // As it was recorded: Fastify's own method refuses some that Node accepts.
  raw.statusCode = reply.status;
  outgoing.set(request, { reply, fields, isHandedOver: false });
  REPLAYS.enter(request, hooked(request)!);
  return new Promise((resolve) => {
    onceEnded(raw, resolve);
    // Without a body, Fastify's serializers leave it alone.
    fastify.send(undefined);
  });
}

function setHeader(reply: Reply, name: string, value: HeaderValue): void {
  if (value === undefined || String(reply.getHeader(name)) === String(value)) return;
  // Fastify would add a cookie to those that are there.
  reply.removeHeader(name);
  reply.header(name, value);
}

function payloadOf({ form, body }: HttpReply): Payload {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  switch (form) {
    case 'none':
      return null;
    case 'text':
      return bytes.toString();
    case 'stream':
      return Readable.from([bytes], { objectMode: false });
    case 'raw':
    case undefined:
      return bytes;
  }
}

/** A hook has failed. Fastify sends an error, which is no replay. */
function removeReplayed(reply: Reply, { reply: { trailers }, fields }: Outgoing): void {
  for (const [name, value] of fields)
    // Its own type and length are those of the error by now.
    if (!/^content-(type|length)$/i.test(name) && String(reply.getHeader(name)) === String(value))
      reply.removeHeader(name);
  for (const [name] of trailers) reply.removeTrailer(name);
}

/** Once the whole reply was written, or the client is gone. */
function onceEnded(raw: ServerResponse, ended: () => void): void {
  // Middleware may have wrapped it.
  const end = raw.end.bind(raw) as (...args: unknown[]) => ServerResponse;
  raw.once('close', ended);
  raw.end = ((...args: unknown[]) => {
    raw.end = end as ServerResponse['end'];
    end(...args);
    ended();
    return raw;
  }) as ServerResponse['end'];
}
