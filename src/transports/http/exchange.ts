import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { EMPTY, type Observable } from 'rxjs';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Awaitable } from '../../engine/awaitable.js';
import type { IncomingRequest } from '../../keys/call.js';
import type { TransportCall } from '../../calls/operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { Captured, ResponseRecorder, Verdict } from './response-recorder.js';
import { declaredHeaders } from './headers.js';
import { isSafeMethod } from './routes.js';

/** What Express and Fastify call a response, as far as it is needed here. */
export interface FrameworkResponse {
  /** Fastify's way to Node's response. */
  readonly raw?: ServerResponse;
  readonly statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): unknown;
  /** Fastify: the reply is ours from now on. */
  hijack?(): unknown;
}

const EXCHANGE = Symbol.for('nestjs-idempotency:exchange');
/** What has become of a call at the interceptor; every way through it shares that. */
export interface Entered {
  /** Runs what lies behind, or answers in its place. */
  pass(next: CallHandler): Observable<unknown>;
  /** Before another pass: true for a call that begins again. */
  startsAnew?(): Awaitable<boolean>;
  /** Nobody waits for it any more. */
  leave?(): void;
}

/** The claim was given back, because nobody waited for it. */
export const ANEW: Entered = { pass: () => EMPTY, startsAnew: () => true };

/** Whoever has the claim: decides what is recorded of a reply. */
export interface RecorderOwner {
  /** The pipeline has passed the interceptor already, and is on its way to the handler. */
  readonly isAround: boolean;
  settle(captured: Captured): Awaitable<Verdict>;
  clientGone(): void;
}

type Marked = IncomingRequest & { [EXCHANGE]?: HttpExchange };

/** One request and its response, the same for Express and Fastify. */
export class HttpExchange implements TransportCall {
  readonly type = 'http';
  principal: string | undefined;
  /** Found by the guard already, when the head of the request was enough. */
  key: string | undefined;
  entered: Awaitable<Entered> | undefined;
  /** The latest owner of the operation, and the recorder that asks it. */
  owner: RecorderOwner | undefined;
  recorder: ResponseRecorder | undefined;
  /** How many wait for what the interceptor gives. */
  listeners = 0;
  readonly isWanted = (): boolean => !this.isLeft() && !this.raw.destroyed;
  /** Nobody waits for what comes out of the interceptor, or somebody has answered meanwhile. */
  readonly isLeft = (): boolean => this.listeners === 0 || this.isAnswered;

  private constructor(
    readonly request: IncomingRequest,
    readonly response: FrameworkResponse,
    public scope: string,
    /** Names of headers that Nest has set for the handler: they belong to its reply, and to no other. */
    private readonly declared: readonly string[],
  ) {}

  /** The exchange of a context; one per request, however often it is asked for. */
  static of(context: ExecutionContext, handler: ProtectedHandler): HttpExchange {
    const request = context.getArgByIndex<Marked>(0);
    return (request[EXCHANGE] ??= new HttpExchange(
      request,
      context.getArgByIndex<FrameworkResponse>(1),
      handler.scopeOf?.(request) ?? handler.scope,
      declaredHeaders(context.getHandler()),
    ));
  }

  /** Node's own response. */
  get raw(): ServerResponse {
    return this.response.raw ?? (this.response as unknown as ServerResponse);
  }

  /** What stands on the response around the handler. */
  get surroundings(): OutgoingHttpHeaders {
    const headers = this.response.getHeaders();
    for (const name of this.declared) delete headers[name];
    return headers;
  }

  /** Takes off what Nest has set for a reply of the handler, where somebody else answers. */
  removeDeclared(): void {
    for (const name of this.declared) this.response.removeHeader(name);
  }

  /** Somebody has answered already: middleware, a time-out, a hook. */
  get isAnswered(): boolean {
    return this.raw.writableEnded;
  }

  get isSafe(): boolean {
    return isSafeMethod(this.request.method);
  }
}
