import type { CallHandler, ExecutionContext } from '@nestjs/common';
import type { AsyncResource } from 'node:async_hooks';
import { EMPTY, type Observable } from 'rxjs';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Awaitable } from '../../engine/awaitable.js';
import type { Claim } from '../../engine/claim.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import type { IncomingRequest } from '../../keys/call.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import type { Conflict } from '../../calls/conflicts.js';
import type { TransportCall } from '../../calls/operations.js';
import type { RefusalReason } from '../../calls/refused.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { Captured, Verdict } from './captured.js';
import type { ResponseRecorder } from './response-recorder.js';
import { declaredHeaders, EXPOSE_HEADER, exposing } from './headers.js';
import { isSafeMethod } from './routes.js';
import type { IsUnrecorded } from './unrecorded-headers.js';

/** The part of Express's response and of Fastify's reply that is needed here. */
export interface FrameworkResponse {
  /** Node's response, on Fastify. */
  readonly raw?: ServerResponse;
  readonly statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  removeHeader(name: string): unknown;
  /** Fastify: sets a header. */
  header?(name: string, value: string): unknown;
  /** Fastify: from now on this library sends the reply. */
  hijack?(): unknown;
}

/** What the operations of an application share. */
export interface HttpOperationContext {
  readonly maxResponseBytes: number;
  readonly problemBaseUrl: string | undefined;
  readonly isUnrecorded: IsUnrecorded;
  /** Does something later, in the context of the call. Does not keep the process alive. */
  later(delayMs: number, work: () => void): void;
  refusal(code: IdempotencyErrorCode, reason?: RefusalReason): IdempotencyException;
  setHeader(response: FrameworkResponse, name: string, value: string): void;
}

const EXCHANGE = Symbol.for('nestjs-idempotency:exchange');
/** The state of a call in the interceptor, shared by every pass through it. */
export interface Entered {
  /** Runs the rest of the pipeline, or answers in its place. Subscribers are in this context. */
  pass(next: CallHandler, around: AsyncResource): Observable<unknown>;
  /** What the error of a pass means, if the database has undone the work because of others. */
  conflict?(error: unknown): Awaitable<Conflict | undefined>;
  /** Undoes everything, before the call begins again. */
  undo?(): Awaitable<void>;
  /** Called before another pass: true if the call begins again. */
  startsAnew?(): Awaitable<boolean>;
  /** Called when nobody waits for the call any more. */
  leave?(): void;
}

/** The claim was released, because nobody waited for it. */
export const ANEW: Entered = { pass: () => EMPTY, startsAnew: () => true };

/** The owner of the claim decides what is recorded of a reply. */
export interface RecorderOwner {
  /** The pipeline has already passed the interceptor, and is on its way to the handler. */
  readonly isAround: boolean;
  settle(captured: Captured): Awaitable<Verdict>;
  clientGone(): void;
}

type Marked = IncomingRequest & { [EXCHANGE]?: HttpExchange };

/** One request and its response, the same for Express and Fastify. */
export class HttpExchange implements TransportCall {
  readonly type = 'http';
  principal: string | undefined;
  /** The guard has already read it, if the head of the request was enough. */
  key: string | undefined;
  entered: Awaitable<Entered> | undefined;
  /** The latest owner of the operation, and the recorder that asks it. */
  owner: RecorderOwner | undefined;
  recorder: ResponseRecorder | undefined;
  /** How many subscribers wait for the interceptor's result. */
  listeners = 0;
  readonly isWanted = (): boolean => !this.isLeft() && !this.raw.destroyed;
  /**
   * True if nobody waits for the interceptor's result, or if something else has already answered.
   */
  readonly isLeft = (): boolean => this.listeners === 0 || this.isAnswered;

  private constructor(
    readonly request: IncomingRequest,
    readonly response: FrameworkResponse,
    public scope: string,
    private readonly handler: ProtectedHandler,
    /** Names of headers that Nest has set for the handler: they belong to its reply, and to no other. */
    private readonly declared: readonly string[],
  ) {}

  /** The exchange of a context. There is one per request, however often it is requested. */
  static of(context: ExecutionContext, handler: ProtectedHandler): HttpExchange {
    const request = context.getArgByIndex<Marked>(0);
    return (request[EXCHANGE] ??= new HttpExchange(
      request,
      context.getArgByIndex<FrameworkResponse>(1),
      handler.scopeOf?.(request) ?? handler.scope,
      handler,
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
    // Fastify adds further cookies to the same list.
    const cookies = headers['set-cookie'];
    if (Array.isArray(cookies)) headers['set-cookie'] = [...cookies];
    return headers;
  }

  /** See {@link KeySource.statuses}. */
  get statuses(): ProtectedHandler['statuses'] {
    return this.handler.statuses;
  }

  /** Says whether the call was accepted, where its key has a header for that. */
  tellResult(isAccepted: boolean): void {
    const { result } = this.handler;
    if (result === undefined || this.raw.headersSent) return;
    const exposed = exposing(this.response.getHeaders(), result.header);
    const value = isAccepted ? result.accepted : result.refused;
    this.setHeader(result.header, value);
    if (exposed !== undefined) this.setHeader(EXPOSE_HEADER, exposed);
  }

  private setHeader(name: string, value: string): void {
    if (this.response.raw === undefined) this.raw.setHeader(name, value);
    else this.response.header!(name, value);
  }

  /** Takes off what Nest has set for a reply of the handler, where somebody else answers. */
  removeDeclared(): void {
    for (const name of this.declared) this.response.removeHeader(name);
  }

  /** Something has already answered: middleware, a timeout, a hook. */
  get isAnswered(): boolean {
    return this.raw.writableEnded;
  }

  get isSafe(): boolean {
    return isSafeMethod(this.request.method);
  }
}

/** What the operations of an application share. */
export interface HttpOperationContext {
  readonly maxResponseBytes: number;
  /** Does something later, in the context of the call. Does not keep the process alive. */
  later(delayMs: number, work: () => void): void;
  refusal(code: IdempotencyErrorCode, reason?: RefusalReason): IdempotencyException;
  setHeader(response: FrameworkResponse, name: string, value: string): void;
  /** The last attempt of an operation has failed. */
  exhausted(exchange: HttpExchange, handler: ProtectedHandler, claim: Claim): void;
}
