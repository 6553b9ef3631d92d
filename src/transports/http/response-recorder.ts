import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Awaitable } from '../../engine/awaitable.js';
import type { HeaderField } from '../../replies/reply.js';
import type { Captured, MadeReply, RecorderOptions, RecordingOwner, Verdict } from './captured.js';
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
  dropHeader,
  HEADERS_FIXED,
  type HeaderMethod,
  type ChunkArguments,
  type Done,
  type HeadArguments,
  headersOf,
  normalize,
  type Recorder,
  recordInto,
} from './recorded-response.js';
import { KeptBytes, Outflow } from './reply-bytes.js';
import { ReplySources } from './reply-sources.js';
import { areSent, trailerFields } from './trailers.js';

type Method = (this: ServerResponse, ...args: never[]) => unknown;
type Overridden =
  'writeHead' | 'write' | 'end' | 'flushHeaders' | 'addTrailers' | 'destroy' | 'emit';

/**
 * - `capturing`: nothing has been sent.
 * - `streaming`: the reply is over the limit, or streams through; its end has not been sent.
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
  private readonly kept: KeptBytes;
  private readonly outflow = new Outflow();
  private trailers: readonly HeaderField[] | undefined;
  /** The reply as the framework's hooks got it, if there are any: {@link hasHooks}. */
  made: MadeReply | undefined;
  hasHooks = false;
  readonly sources = new ReplySources(() => {
    if (this.isCapturing) this.cutOff();
  });
  /** The response's own members. Other middleware may have wrapped them too. */
  private readonly original: Readonly<Record<Overridden, Method>>;
  private headerMethods: Readonly<Record<HeaderMethod, Method>> | undefined;
  private looksSent = false;
  /** Something was written, or the head was flushed, before the end. */
  private hasBegun = false;
  private hasEnded = false;
  private readonly checks: Checks;
  private clientGone = false;
  /** Some of the reply has left. Nothing else can be sent in its place. */
  hasLeft = false;
  /** True for code that must not notice that something else has answered. */
  private isIgnored = (): boolean => false;

  constructor(
    private readonly response: ServerResponse,
    readonly options: RecorderOptions,
    private readonly owner: RecordingOwner,
  ) {
    const { isNativeApi, maxBytes } = options;
    this.kept = new KeptBytes(maxBytes);
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
    if (!this.options.isNativeApi) this.fixHeaders();
  }

  writeHead(args: HeadArguments): unknown {
    if (this.isIgnored()) return this.response;
    if (this.areHeadersFixed) this.refuseHeaders((copy) => copy.writeHead(200));
    // Node itself calls this while the reply is sent.
    if (this.phase !== 'capturing') return this.callOriginal('writeHead', args);
    this.checks.run(() => checkHead(this.response, args));
    this.head = args;
    this.headers = headersOf(this.response, this.head);
    // Fastify calls this from `send`, right before the end, and checks nothing in between.
    if (this.options.isNativeApi) this.lookSent();
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
    if (this.phase !== 'capturing') {
      if (this.phase !== 'settling') this.callOriginal('flushHeaders', []);
      return;
    }
    this.captureHead();
    if (this.options.streamsThrough) this.startStreaming();
  }

  write(args: ChunkArguments): unknown {
    if (this.isIgnored()) return this.swallow(normalize(args));
    if (this.isOver) return this.refuseMore(args);
    if (this.phase === 'passing') return this.callOriginal('write', args);
    this.checks.run(() => checkPiece(this.response, args));
    const { chunk, encoding, done } = normalize(args);
    this.captureHead();
    const isKept = this.phase === 'capturing' || this.options.streamsThrough;
    // Copied, because the writer may reuse its buffer after the callback.
    if (isKept) this.kept.add(typeof chunk === 'object' ? Buffer.from(chunk) : chunk, encoding);
    if (this.phase === 'streaming') return this.streamOn(args);
    this.swallow({ done });
    return this.options.streamsThrough || this.kept.isOver ? this.startStreaming() : true;
  }

  addTrailers(trailers: unknown): void {
    if (this.isIgnored()) return;
    // Node checks them.
    this.callOriginal('addTrailers', [trailers]);
    if (this.isCapturing) this.trailers = trailerFields(trailers);
  }

  end(args: ChunkArguments): unknown {
    if (this.isIgnored() && this.swallow(normalize(args))) return this.response;
    if (this.isOver) {
      this.refuseMore(args);
      return this.response;
    }
    if (this.phase === 'passing') return this.callOriginal('end', args);
    const wasStreaming = this.phase === 'streaming';
    this.checks.run(() => checkEnd(this.response, args, this.head, this.headers !== undefined));
    const { chunk, encoding, done } = normalize(args);
    const isBegun = this.hasBegun;
    if (!wasStreaming || this.options.streamsThrough) this.kept.add(chunk, encoding);
    this.headers ??= headersOf(this.response, this.head);
    this.hasEnded = true;
    const end = (rest: unknown): void => void this.callOriginal('end', [rest, undefined, done]);
    const sendRest = (): void => {
      if (wasStreaming) return end(this.outflow.rest(chunk, encoding));
      if (this.head) this.callOriginal('writeHead', this.head);
      if (!isBegun) return void this.callOriginal('end', args);
      const sendsTrailers = this.sentTrailers !== undefined;
      // Node writes the length of a reply that comes at once, and no trailers.
      if (sendsTrailers) this.sendPieces();
      end(sendsTrailers ? undefined : this.kept.joined());
    };
    this.finish(this.captured(), sendRest);
    return this.response;
  }

  destroy(args: [error?: Error]): unknown {
    const destroy = (): void => void this.callOriginal('destroy', args);
    // From the side of whoever destroys it, the reply has gone out already.
    if (this.phase === 'settling' && this.hasEnded) this.response.once('finish', destroy);
    else if (!this.isCapturing) destroy();
    else {
      this.hasEnded = true;
      this.finish(this.brokenOff(args[0]), destroy);
    }
    return this.response;
  }

  emit(args: [event: string | symbol, ...rest: unknown[]]): unknown {
    if (this.isCapturing) {
      if (args[0] === 'pipe') this.sources.watch(args[1] as Readable);
      else if (args[0] === 'close' && !this.clientGone) {
        this.clientGone = true;
        this.owner.clientGone();
        // Nobody reads any more, so a handler that waits until it may write on may do so.
        if (this.phase === 'streaming')
          process.nextTick(() => this.callOriginal('emit', ['drain']));
      }
    }
    return this.callOriginal('emit', args);
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
      for (const given of [this.headers, this.made?.headers, this.head?.at(-1)])
        dropHeader(given, name, value);
    }
  }

  /** The client disconnected and no reply will come: settles without one. */
  cutOff(): void {
    if (this.isCapturing) this.finish({ kind: 'cut-off' }, () => undefined);
  }

  private brokenOff(cause: Error | undefined): Captured {
    const { sources, response } = this;
    // Frameworks also destroy a response that they cannot send because the client has disconnected.
    const isClientGone = this.clientGone || response.destroyed || response.socket?.destroyed;
    if (sources.failure === undefined && isClientGone) return { kind: 'cut-off' };
    const error = sources.failure?.error ?? cause ?? new Error('The response was destroyed.');
    return { kind: 'broken', error };
  }

  private captured(): Captured {
    const { failure } = this.sources;
    if (failure !== undefined) return { kind: 'broken', error: failure.error };
    // A hook may have dropped what it got, and have sent something else.
    const made = this.made?.isWhole === true ? this.made : undefined;
    const form = made?.form ?? (this.hasHooks && made === undefined ? 'raw' : undefined);
    const { bytes = this.kept } = made ?? {};
    const status: unknown = made?.status ?? this.head?.[0] ?? this.response.statusCode;
    return {
      kind: 'reply',
      // As in Node, the status may have been given as text.
      status: Math.trunc(Number(status)),
      headers: made?.headers ?? this.headers ?? {},
      body: bytes.isOver ? undefined : bytes.joined(),
      extras: { form, trailers: this.sentTrailers },
    };
  }

  private get sentTrailers(): readonly HeaderField[] | undefined {
    const { response, trailers, headers = {}, hasBegun } = this;
    return trailers !== undefined && areSent(response, headers, hasBegun) ? trailers : undefined;
  }

  private finish(captured: Captured, send: () => void): void {
    this.phase = 'settling';
    let verdict: Awaitable<Verdict> = 'send';
    try {
      verdict = this.owner.settle(captured);
    } catch (error) {
      // Whatever went wrong, the client gets the reply that was made.
      this.owner.lost(error);
    }
    if (verdict === 'send') return void this.letOut(verdict, send);
    // Frameworks check whether they have answered. From their side, they have.
    this.lookSent();
    void Promise.resolve(verdict)
      .catch((error: unknown) => {
        this.owner.lost(error);
        return 'send' as const;
      })
      .then((settled) => this.letOut(settled, send))
      .catch((error: unknown) => this.giveUp(error));
  }

  private letOut(verdict: Verdict, send: () => void): Awaitable<void> {
    this.phase = 'passing';
    if (verdict === 'send') return send();
    // A reply that has begun to be sent cannot be replaced, and must not look complete.
    if (this.hasLeft) return void this.callOriginal('destroy', []);
    return this.response.headersSent ? send() : verdict(this.response);
  }

  /** Something else has changed the response in the meantime. Its client must not wait forever. */
  private giveUp(error: unknown): void {
    this.owner.lost(error);
    this.callOriginal('destroy', []);
  }

  private swallow({ done }: { readonly done?: Done }): true {
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

  /** From now on the client gets the bytes as they come. */
  private startStreaming(): boolean {
    this.phase = 'streaming';
    this.hasLeft = true;
    if (this.head) this.callOriginal('writeHead', this.head);
    this.outflow.begin(this.headers!);
    const isReady = this.sendPieces();
    if (this.kept.isOver) this.kept.clear();
    return isReady;
  }

  /** Sends what was written so far. */
  private sendPieces(): boolean {
    const bytes = this.outflow.next(this.kept.joined(), undefined);
    if (bytes.length > 0) return this.callOriginal('write', [bytes]) as boolean;
    this.callOriginal('flushHeaders', []);
    return true;
  }

  private streamOn(args: ChunkArguments): boolean {
    if (this.kept.isOver) this.kept.clear();
    const { chunk, encoding, done } = normalize(args);
    const bytes = this.outflow.next(chunk ?? '', encoding);
    // To a client that is gone, nothing is written: Node would report an error, and never `drain`.
    if (bytes.length === 0 || this.clientGone) return this.swallow({ done });
    return this.callOriginal('write', [bytes, undefined, done]) as boolean;
  }

  private captureHead(): void {
    if (this.headers === undefined) this.checks.run(() => checkHead(this.response, undefined));
    this.headers ??= headersOf(this.response, this.head);
    this.hasBegun = true;
    this.lookSent();
  }

  /** Makes frameworks end a reply that has begun, instead of writing another over it. */
  private lookSent(): void {
    if (this.looksSent) return;
    this.looksSent = true;
    if (this.options.isNativeApi) return;
    ANSWERED.cover(this.response);
    this.fixHeaders();
  }

  private fixHeaders(): void {
    this.headerMethods ??= HEADERS_FIXED.cover(this.response) as Record<HeaderMethod, Method>;
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
