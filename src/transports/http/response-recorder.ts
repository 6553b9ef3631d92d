import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { type Awaitable, isPending } from '../../engine/awaitable.js';
import {
  checkEnd,
  checkHead,
  checkPiece,
  Checks,
  refuseAfterHead,
  writtenAfterEnd,
} from './node-checks.js';
import {
  ANSWERED,
  HEADERS_FIXED,
  type HeaderMethod,
  type Chunk,
  type ChunkArguments,
  type HeadArguments,
  normalize,
  type Recorder,
  recordInto,
} from './recorded-response.js';

/** What the handler's side of the connection produced. */
export type Captured =
  /** The whole reply. `body` is absent if it was too large to keep. */
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly headers: OutgoingHttpHeaders;
      readonly body: Uint8Array | undefined;
    }
  /** The reply broke off: its source failed, or the response was destroyed. */
  | { readonly kind: 'broken'; readonly error: unknown }
  /** The client left, and with it the source of the reply. */
  | { readonly kind: 'cut-off' };

/** Sends the captured reply, or writes another one in its place. */
export type Verdict = 'send' | ((response: ServerResponse) => void);

type Method = (this: ServerResponse, ...args: never[]) => unknown;
type Overridden = 'writeHead' | 'write' | 'end' | 'flushHeaders' | 'destroy' | 'emit';

/**
 * - `capturing`: nothing has been sent.
 * - `streaming`: the reply exceeded the limit; its bytes are sent, but not yet its end.
 * - `settling`: the end was seen, the record is being written.
 * - `passing`: the recorder lets everything through.
 */
type Phase = 'capturing' | 'streaming' | 'settling' | 'passing';

/**
 * Sits between the framework and the raw response. Holds the reply back until `settle` has
 * answered, so that no client gets a reply before it is on record. It works on what is written, so
 * it need not know about serializers, interceptors, filters and streams.
 *
 * What Node would refuse is refused here, to the code that wrote it. When the reply is sent, that
 * code has finished, and the reply would be on record.
 */
export class ResponseRecorder implements Recorder {
  private phase: Phase = 'capturing';
  private head: HeadArguments | undefined;
  private headers: OutgoingHttpHeaders | undefined;
  private readonly chunks: Uint8Array[] = [];
  private size = 0;
  private readonly sources = new Set<Readable>();
  private sourceError: { readonly error: unknown } | undefined;
  /** The response's own members. Other middleware may have wrapped them too. */
  private readonly original: Readonly<Record<Overridden, Method>>;
  /** Likewise where its headers are concerned. */
  private headerMethods: Readonly<Record<HeaderMethod, Method>> | undefined;
  private looksSent = false;
  private hasEnded = false;
  private readonly checks: Checks;
  private clientGone = false;
  /** True for code that must not notice that something else has answered. */
  private isIgnored = (): boolean => false;

  constructor(
    private readonly response: ServerResponse,
    /** True if handlers work on Node's response itself, as in Express. */
    private readonly isNativeApi: boolean,
    private readonly maxBytes: number,
    private readonly settle: (captured: Captured) => Awaitable<Verdict>,
    private readonly onClientGone: () => void,
    /** Called with the reason why a reply could not be sent, if nobody else can handle it. */
    private readonly onLost: (error: unknown) => void,
  ) {
    this.checks = new Checks(response, () => this.changeOriginal('removeHeader', ['trailer']));
    this.original = recordInto(this, response, isNativeApi) as Record<Overridden, Method>;
    if (isNativeApi) this.headerMethods = this.original as object as Record<HeaderMethod, Method>;
  }

  /** What code that reads `headersSent` gets once a reply has begun. */
  get headersSent(): unknown {
    const isHeldBack = this.phase === 'capturing' || this.phase === 'settling';
    return (this.looksSent && isHeldBack) || this.ofOriginal('headersSent');
  }

  get writableEnded(): unknown {
    return (this.looksSent && this.phase === 'settling') || this.ofOriginal('writableEnded');
  }

  get isCapturing(): boolean {
    return this.phase === 'capturing' || this.phase === 'streaming';
  }

  /** For the code that writes, the headers have been sent. */
  private get areHeadersFixed(): boolean {
    if (this.phase === 'settling') return true;
    return this.phase === 'capturing' && this.headers !== undefined;
  }

  /**
   * Something has answered in place of the handler. What the handler still writes is dropped, as if
   * the client had disconnected: an error would end its work early and look like its failure.
   */
  ignore(isHandler: () => boolean): void {
    this.isIgnored = isHandler;
    if (!this.isNativeApi) this.fixHeaders();
  }

  writeHead(args: HeadArguments): unknown {
    if (this.isIgnored()) return this.response;
    if (this.areHeadersFixed) this.refuseHeaders((copy) => copy.writeHead(200));
    // Node itself calls this while the reply is sent.
    if (this.phase !== 'capturing') return this.callOriginal('writeHead', args);
    this.checks.run(() => checkHead(this.response, args));
    this.head = args;
    this.headers = this.currentHeaders();
    // Fastify calls this from `send`, right before the end, and checks nothing in between.
    if (this.isNativeApi) this.lookSent();
    else this.fixHeaders();
    return this.response;
  }

  /** Code that answers next must see that a reply has begun. */
  private refuseHeaders(change: (copy: ServerResponse) => unknown): void {
    this.lookSent();
    refuseAfterHead(this.response, change);
  }

  changeHeader(method: HeaderMethod, args: readonly unknown[]): unknown {
    if (this.isIgnored()) return this.response;
    if (this.areHeadersFixed)
      this.refuseHeaders((copy) => Reflect.apply(copy[method], copy, args) as unknown);
    return this.changeOriginal(method, args);
  }

  flushHeaders(): void {
    if (this.isIgnored()) return;
    if (this.phase === 'capturing') this.captureHead();
    else if (this.phase !== 'settling') this.callOriginal('flushHeaders', []);
  }

  write(args: ChunkArguments): unknown {
    if (this.isIgnored()) return this.swallow(args);
    if (this.isOver) return this.refuseMore(args);
    if (this.phase === 'passing' || this.phase === 'streaming')
      return this.callOriginal('write', args);
    this.checks.run(() => checkPiece(this.response, args));
    const { chunk, encoding, done } = normalize(args);
    this.captureHead();
    // Copied, because the writer may reuse its buffer after the callback.
    this.keep(typeof chunk === 'object' ? Buffer.from(chunk) : chunk, encoding);
    if (done) process.nextTick(done);
    return this.size > this.maxBytes ? this.startStreaming() : true;
  }

  end(args: ChunkArguments): unknown {
    if (this.isIgnored() && this.swallow(args)) return this.response;
    if (this.isOver) {
      this.refuseMore(args);
      return this.response;
    }
    if (this.phase === 'passing') return this.callOriginal('end', args);
    const wasStreaming = this.phase === 'streaming';
    this.checks.run(() => checkEnd(this.response, args, this.head, this.headers !== undefined));
    const { chunk, encoding } = normalize(args);
    const single = this.chunks.length === 0 && !wasStreaming;
    if (!wasStreaming) {
      this.keep(chunk, encoding);
      this.headers ??= this.currentHeaders();
    }
    this.hasEnded = true;
    const sendRest = (): void => {
      if (!wasStreaming && this.head) this.callOriginal('writeHead', this.head);
      if (wasStreaming || single) return void this.callOriginal('end', args);
      const done = normalize(args).done;
      this.callOriginal('end', [this.joined(), undefined, done ?? undefined]);
    };
    this.finish(this.captured(wasStreaming), sendRest);
    return this.response;
  }

  destroy(args: [error?: Error]): unknown {
    const destroy = (): void => void this.callOriginal('destroy', args);
    // From the side of whoever destroys it, the reply has gone out already.
    if (this.phase === 'settling' && this.hasEnded) this.response.once('finish', destroy);
    else if (!this.isCapturing) destroy();
    else this.finish(this.brokenOff(args[0]), destroy);
    return this.response;
  }

  emit(args: [event: string | symbol, ...rest: unknown[]]): unknown {
    if (this.isCapturing) {
      if (args[0] === 'pipe') this.watch(args[1] as Readable);
      else if (args[0] === 'close' && !this.clientGone) {
        this.clientGone = true;
        this.onClientGone();
      }
    }
    return this.callOriginal('emit', args);
  }

  /** Follows a stream that produces the reply. */
  watch(source: Readable): void {
    if (this.sources.has(source)) return;
    this.sources.add(source);
    const failed = (error: unknown): void => void (this.sourceError ??= { error });
    if (source.errored) failed(source.errored);
    source.once('error', failed);
    source.once('close', () => {
      // Frameworks destroy the source of a reply if the client has disconnected.
      if (!source.readableEnded && this.sourceError === undefined && this.isCapturing)
        this.cutOff();
    });
  }

  /** Changes the status of the reply that was captured. */
  answerWith(status: number): void {
    if (this.head) this.head[0] = status;
    else this.response.statusCode = status;
  }

  /** Removes headers that have these values, before the reply is sent. */
  drop(headers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(headers)) {
      if (this.response.getHeader(name) === value && this.ofOriginal('headersSent') !== true)
        this.changeOriginal('removeHeader', [name]);
      for (const given of [this.headers, this.head?.at(-1)])
        if (typeof given === 'object' && given !== null) dropFrom(given as object, name, value);
    }
  }

  /** The client disconnected and no reply will come: settles without one. */
  cutOff(): void {
    if (this.isCapturing) this.finish({ kind: 'cut-off' }, () => undefined);
  }

  private brokenOff(cause: Error | undefined): Captured {
    const { sourceError, response } = this;
    // Frameworks also destroy a response that they cannot send because the client has disconnected.
    const isClientGone = this.clientGone || response.destroyed || response.socket?.destroyed;
    if (sourceError === undefined && isClientGone) return { kind: 'cut-off' };
    const error = sourceError?.error ?? cause ?? new Error('The response was destroyed.');
    return { kind: 'broken', error };
  }

  private captured(wasStreaming: boolean): Captured {
    if (this.sourceError !== undefined) return { kind: 'broken', error: this.sourceError.error };
    const isKept = !wasStreaming && this.size <= this.maxBytes;
    const status: unknown = this.head?.[0] ?? this.response.statusCode;
    return {
      kind: 'reply',
      // As in Node, the status may have been given as text.
      status: Math.trunc(Number(status)),
      headers: this.headers ?? {},
      body: isKept ? this.joined() : undefined,
    };
  }

  private finish(captured: Captured, send: () => void): void {
    this.phase = 'settling';
    let verdict: Awaitable<Verdict> = 'send';
    try {
      verdict = this.settle(captured);
    } catch (error) {
      // Whatever went wrong, the client gets the reply that was made.
      this.onLost(error);
    }
    if (!isPending(verdict)) return this.letOut(verdict, send);
    // Frameworks check whether they have answered. From their side, they have.
    this.lookSent();
    void Promise.resolve(verdict)
      .catch((error: unknown) => {
        this.onLost(error);
        return 'send' as const;
      })
      .then((settled) => this.letOut(settled, send))
      .catch((error: unknown) => this.giveUp(error));
  }

  private letOut(verdict: Verdict, send: () => void): void {
    this.phase = 'passing';
    // A reply that has begun to be sent cannot be replaced.
    if (verdict === 'send' || this.response.headersSent) send();
    else verdict(this.response);
  }

  /** Something else has changed the response in the meantime. Its client must not wait forever. */
  private giveUp(error: unknown): void {
    this.onLost(error);
    this.callOriginal('destroy', []);
  }

  private swallow(args: ChunkArguments): true {
    const { done } = normalize(args);
    if (done) process.nextTick(done);
    return true;
  }

  /** A write that comes too late gets an error, where Node would end the process. */
  private refuseMore(args: ChunkArguments): boolean {
    const { chunk, done } = normalize(args);
    if (done) process.nextTick(done, chunk === undefined ? undefined : writtenAfterEnd());
    return false;
  }

  /** The end was written, by the code that answers or by the recorder. */
  private get isOver(): boolean {
    if (!this.hasEnded) return false;
    return this.phase === 'settling' || this.ofOriginal('writableEnded') === true;
  }

  /** Too large to keep: from now on the client gets the bytes as they come. */
  private startStreaming(): boolean {
    this.phase = 'passing';
    try {
      if (this.head) this.callOriginal('writeHead', this.head);
      return this.callOriginal('write', [this.joined()]) as boolean;
    } finally {
      this.chunks.length = 0;
      this.phase = 'streaming';
    }
  }

  private captureHead(): void {
    if (this.headers === undefined) this.checks.run(() => checkHead(this.response, undefined));
    this.headers ??= this.currentHeaders();
    this.lookSent();
  }

  /** Makes frameworks end a reply that has begun, instead of writing another over it. */
  private lookSent(): void {
    if (this.looksSent) return;
    this.looksSent = true;
    if (this.isNativeApi) return;
    ANSWERED.cover(this.response);
    this.fixHeaders();
  }

  private fixHeaders(): void {
    this.headerMethods ??= HEADERS_FIXED.cover(this.response) as Record<HeaderMethod, Method>;
  }

  /** The headers on the response, and those passed to `writeHead` (as Fastify does). */
  private currentHeaders(): OutgoingHttpHeaders {
    const headers = this.response.getHeaders();
    const given = this.head?.at(-1);
    if (typeof given !== 'object' || given === null) return headers;
    if (!Array.isArray(given)) return Object.assign(headers, given);
    for (let i = 0; i + 1 < given.length; i += 2)
      headers[String(given[i])] = given[i + 1] as string;
    return headers;
  }

  private keep(chunk: Chunk | undefined, encoding: BufferEncoding | undefined): void {
    if (chunk === undefined) return;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    this.size += bytes.length;
    if (bytes.length > 0) this.chunks.push(bytes);
  }

  private joined(): Uint8Array {
    return this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
  }

  private changeOriginal(method: HeaderMethod, args: readonly unknown[]): unknown {
    const from = this.headerMethods ?? this.response;
    return from[method].apply(this.response, args as never[]);
  }

  private callOriginal(name: Overridden, args: readonly unknown[]): unknown {
    return this.original[name].apply(this.response, args as never[]);
  }

  private ofOriginal(name: 'headersSent' | 'writableEnded'): unknown {
    return Reflect.get(this.original, name, this.response);
  }
}

function dropFrom(headers: object, name: string, value: string): void {
  for (const [key, given] of Object.entries(headers))
    if (key.toLowerCase() === name.toLowerCase() && given === value)
      Reflect.deleteProperty(headers, key);
}
