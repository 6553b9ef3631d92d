import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AsyncResource } from 'node:async_hooks';
import { Observable, of, type Subscriber, throwError } from 'rxjs';
import { attempt, type Awaitable, chain, Failure } from '../../engine/awaitable.js';
import type { Claim } from '../../engine/claim.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../options/module-definition.js';
import {
  type IdempotencyModuleOptions,
  MODULE_DEFAULTS,
} from '../../options/idempotency.options.js';
import { decodeReply, NOT_KEPT, UnreadableReplyError } from '../../replies/codec.js';
import { notKeepable } from '../../replies/not-keepable.js';
import type { Reply } from '../../replies/reply.js';
import { CurrentOperation } from '../../operation/current-operation.js';
import { HandlerRun } from '../../operation/handler-run.js';
import type { RecoveredReply } from '../../operation/recovery.js';
import { NotKeptWarnings } from '../../operation/not-kept-warnings.js';
import { Callers } from '../../calls/callers.js';
import { isRepeated, pauseAfter } from '../../calls/conflicts.js';
import { logExhausted } from '../../calls/failure.js';
import { type Begun, type CallForm, Operations } from '../../calls/operations.js';
import { exceptionOf, type RefusalReason } from '../../calls/refused.js';
import type { Transport } from '../../calls/transport.js';
import { HandlerResolver } from '../../handlers/handler-resolver.js';
import type { ProtectedHandler, ProtectedLayer } from '../../handlers/protected-handler.js';
import { encodeRecoveredHttpReply } from '../../calls/recovery-call.js';
import {
  ANEW,
  type Entered,
  type FrameworkResponse,
  HttpExchange,
  type HttpOperationContext,
} from './exchange.js';
import { HttpOperation } from './http-operation.js';
import { prepareRefusals } from './refusals.js';
import { replay, seal } from './replayer.js';
import { UnknownCallers } from './unknown-callers.js';
import { type IsUnrecorded, unrecordedHeaders } from './unrecorded-headers.js';

/** The pipeline ends normally, so that outer interceptors see it complete. */
const ANSWERED: Entered = { pass: () => of(undefined) };

/** Calls over HTTP. Their replies are what was sent on the wire. */
@Injectable()
export class HttpTransport
  implements HttpOperationContext, CallForm<HttpExchange>, Transport, OnModuleInit
{
  readonly kind = 'http';
  readonly maxResponseBytes: number;
  readonly isUnrecorded: IsUnrecorded;
  readonly problemBaseUrl: string | undefined;
  private readonly unknownCallers: UnknownCallers;
  private readonly operations: Operations<HttpExchange>;

  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly adapterHost: HttpAdapterHost,
    resolver: HandlerResolver,
    callers: Callers,
    private readonly warnings: NotKeptWarnings,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.unknownCallers = new UnknownCallers(resolver.credentials);
    this.maxResponseBytes = options.maxResponseBytes ?? MODULE_DEFAULTS.maxResponseBytes;
    this.isUnrecorded = unrecordedHeaders(options.unrecordedHeaders);
    this.problemBaseUrl = options.problemBaseUrl;
    this.operations = new Operations<HttpExchange>(engine, this, callers, options.problemBaseUrl);
  }

  /** Not before: an application that is made for a test gets its adapter after its providers. */
  onModuleInit(): void {
    // A microservice has none.
    const { httpAdapter } = this.adapterHost as { readonly httpAdapter?: object | null };
    const { problemBaseUrl } = this;
    if (httpAdapter) prepareRefusals(httpAdapter, { problemBaseUrl });
  }

  later(delayMs: number, work: () => void): void {
    this.engine.clock.after(delayMs, AsyncResource.bind(work));
  }

  /** The guard's part: checks that keys in the head are present and well formed. No I/O. */
  check(context: ExecutionContext, handler: ProtectedHandler): void {
    const exchange = HttpExchange.of(context, handler);
    if (!exchange.isSafe) this.operations.checkHead(exchange, handler);
  }

  /** The interceptor's part: claim, then run, replay or refuse. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    const exchange = HttpExchange.of(context, handler);
    if (exchange.isSafe) return this.runUnprotected(next, exchange, handler);
    // Registered twice, or on the class and on the method: the first one has claimed.
    if (exchange.owner?.isAround === true) return next.handle();
    const scope = new AsyncResource('IdempotencyInterceptor');
    return new Observable((subscriber) =>
      scope.runInAsyncScope(() => this.subscribe(subscriber, exchange, next, handler, scope)),
    );
  }

  /** A call that nobody waits for claims nothing, and releases what it has claimed. */
  private subscribe(
    subscriber: Subscriber<unknown>,
    exchange: HttpExchange,
    next: CallHandler,
    handler: ProtectedHandler,
    around: AsyncResource,
  ): void {
    let isOver = false;
    let entered: Entered | undefined;
    let repetitions = 0;
    const fail = (error: unknown): void => {
      isOver = true;
      subscriber.error(error);
    };
    const pass = (now: Entered): void => {
      entered = now;
      if (subscriber.closed) {
        if (exchange.listeners === 0) now.leave?.();
        return;
      }
      subscriber.add(
        now.pass(next, around).subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) =>
            void chain(now.conflict?.(error), (conflict) => {
              if (conflict === undefined) fail(error);
              else if (subscriber.closed || !isRepeated(conflict, handler.policy, repetitions))
                fail(conflict.shown);
              else void this.repeat(now, exchange, handler, (repetitions += 1)).then(pass, fail);
            }),
          complete: () => {
            isOver = true;
            subscriber.complete();
          },
        }),
      );
    };
    exchange.listeners += 1;
    subscriber.add(() => {
      exchange.listeners -= 1;
      if (!isOver && exchange.listeners === 0) entered?.leave?.();
    });
    void chain(this.enter(exchange, handler, subscriber), pass);
  }

  /** The database has undone the work of a call, which begins again as another attempt would. */
  private async repeat(
    entered: Entered,
    exchange: HttpExchange,
    handler: ProtectedHandler,
    repetitions: number,
  ): Promise<Entered> {
    await entered.undo?.();
    await pauseAfter(repetitions - 1);
    exchange.entered = this.begin(exchange, handler);
    return exchange.entered;
  }

  private enter(
    exchange: HttpExchange,
    handler: ProtectedHandler,
    subscriber: Subscriber<unknown>,
  ): Awaitable<Entered> {
    const entered = (exchange.entered ??= this.begin(exchange, handler));
    return chain(entered, (outcome) =>
      chain(!subscriber.closed && outcome.startsAnew?.(), (isAnew) => {
        if (isAnew !== true) return outcome;
        if (exchange.entered === entered) exchange.entered = this.begin(exchange, handler);
        return exchange.entered!;
      }),
    );
  }

  private begin(exchange: HttpExchange, handler: ProtectedHandler): Awaitable<Entered> {
    const entered = attempt(() =>
      chain(this.operations.begin(exchange, handler), (begun) =>
        exchange.isLeft() ? this.giveBack(begun, exchange) : this.goOn(begun, exchange, handler),
      ),
    );
    return chain(entered, (outcome) => {
      if (!(outcome instanceof Failure)) return outcome;
      // The handler does not answer, so its headers must not describe what does.
      exchange.removeDeclared();
      return { pass: () => throwError(() => outcome.cause) };
    });
  }

  private giveBack(begun: Begun | undefined, exchange: HttpExchange): Awaitable<Entered> {
    const { beginning } = begun ?? {};
    const released = beginning?.outcome === 'execute' ? beginning.claim.withdraw() : undefined;
    return chain(released, () => {
      if (!exchange.isAnswered) return ANEW;
      seal(exchange);
      return ANSWERED;
    });
  }

  /** It says that the work was done, so a value that cannot be kept leaves a tombstone. */
  encodeRecovered(
    reply: RecoveredReply,
    { scope }: HttpExchange,
    { values }: ProtectedLayer,
  ): Uint8Array {
    try {
      return encodeRecoveredHttpReply(reply, values);
    } catch (error) {
      this.warnings.ofReply(scope, notKeepable(error));
      return NOT_KEPT;
    }
  }

  refused(exchange: HttpExchange): void {
    exchange.tellResult(false);
  }

  unknownCaller(exchange: HttpExchange, handler: ProtectedHandler): void {
    this.unknownCallers.notice(exchange, handler);
  }

  refusal(code: IdempotencyErrorCode, reason: RefusalReason = {}): IdempotencyException {
    return exceptionOf(code, reason, this.problemBaseUrl);
  }

  exhausted({ scope }: HttpExchange, { policy }: ProtectedHandler, claim: Claim): void {
    this.engine.reportExhausted({ scope, policy, id: claim.id }, claim.attempt);
    logExhausted(scope, claim.ifFails);
  }

  setHeader(response: FrameworkResponse, name: string, value: string): void {
    this.adapterHost.httpAdapter.setHeader(response, name, value);
  }

  private goOn(
    begun: Begun | undefined,
    exchange: HttpExchange,
    handler: ProtectedHandler,
  ): Awaitable<Entered> {
    if (begun === undefined) return this.unprotected(exchange, handler);
    const { beginning } = begun;
    switch (beginning.outcome) {
      case 'execute': {
        const { claim } = beginning;
        exchange.tellResult(true);
        const operation = new CurrentOperation(exchange, claim, handler, this.warnings);
        const run = new HandlerRun(handler.method, operation, claim);
        return new HttpOperation(this, handler, exchange, claim, run, begun);
      }
      case 'replay':
        exchange.tellResult(true);
        return this.replay(exchange, handler, beginning.reply);
      case 'refused':
        // The engine has already published the event.
        return chain(begun.onRefused?.(beginning.code), () => {
          throw this.operations.exception(exchange, beginning.code, beginning);
        });
      case 'joined':
      case 'unprotected':
        return this.unprotected(exchange, handler);
    }
  }

  private replay(
    exchange: HttpExchange,
    handler: ProtectedHandler,
    recorded: Uint8Array,
  ): Awaitable<Entered> {
    let reply: Reply;
    try {
      reply = decodeReply(recorded);
    } catch (cause) {
      if (!(cause instanceof UnreadableReplyError)) throw cause;
      throw this.operations.refuse(exchange, handler, 'IDEMPOTENCY_RECORD_UNREADABLE', { cause });
    }
    if (reply.kind === 'not-kept')
      throw this.operations.refuse(exchange, handler, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    // The record is a value from outside HTTP, under the same explicit scope.
    if (reply.kind !== 'http')
      throw this.operations.refuse(exchange, handler, 'IDEMPOTENCY_RECORD_UNREADABLE');
    return chain(replay(exchange, reply, this.maxResponseBytes), (refused) => {
      if (refused === undefined) return ANSWERED;
      const { detail, mayDecodeElsewhere: retryable } = refused;
      const retryAfterMs = retryable ? handler.policy.retryAfterMs : undefined;
      const reason = { detail, retryable, retryAfterMs };
      throw this.operations.refuse(exchange, handler, 'IDEMPOTENCY_REPLY_NOT_ACCEPTABLE', reason);
    });
  }

  private unprotected(exchange: HttpExchange, handler: ProtectedHandler): Entered {
    return { pass: (next, around) => this.runUnprotected(next, exchange, handler, around) };
  }

  private runUnprotected(
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
    around?: AsyncResource,
  ): Observable<unknown> {
    const operation = new CurrentOperation(exchange, undefined, handler, this.warnings);
    const run = new HandlerRun(handler.method, operation, undefined);
    return run.lead(() => next.handle(), around);
  }
}
