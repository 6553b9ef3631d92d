import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type Observable, of } from 'rxjs';
import { type Awaitable, chain, isPending } from '../../engine/awaitable.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { Beginning, OperationRequest } from '../../engine/operation.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import { IdempotencyException } from '../../idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../idempotency.module-definition.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../../idempotency.options.js';
import { isFingerprintUnavailableError } from '../../keys/fingerprint-unavailable-error.js';
import { isInvalidKeyError } from '../../keys/key-source.js';
import { recordId } from '../../keys/record-id.js';
import { decodeReply, UnreadableReplyError } from '../../replies/codec.js';
import type { Reply } from '../../replies/reply.js';
import { CurrentOperation } from '../current-operation.js';
import { HandlerRun, handlerRuns } from '../handler-run.js';
import type { ProtectedHandler } from '../protected-handler.js';
import { encodeRecoveredHttpReply, recovery } from '../recovery-call.js';
import { HttpExchange } from './exchange.js';
import { HttpOperation, type HttpOperationContext } from './http-operation.js';
import { problemHeaders } from './problem.js';
import { replay } from './replayer.js';

/** The way of a call that came in over HTTP. */
@Injectable()
export class HttpEntry implements HttpOperationContext {
  private readonly logger = new Logger('Idempotency');
  readonly maxResponseBytes: number;
  private readonly problemBaseUrl: string | undefined;

  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly adapterHost: HttpAdapterHost,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.maxResponseBytes = options.maxResponseBytes ?? MODULE_DEFAULTS.maxResponseBytes;
    this.problemBaseUrl = options.problemBaseUrl;
  }

  get clock(): IdempotencyEngine['clock'] {
    return this.engine.clock;
  }

  /** The guard's part: a key that is sent in the head is there and well formed. No I/O. */
  check(context: ExecutionContext, handler: ProtectedHandler): void {
    if (!handler.key.readsOnlyHead) return;
    const exchange = HttpExchange.of(context, handler);
    if (exchange.isSafe) return;
    const key = this.readKey(exchange, handler);
    // Sources that read only the head answer at once.
    if (typeof key === 'string') exchange.key = key;
    else if (handler.required) throw this.refuse(exchange, 'IDEMPOTENCY_KEY_REQUIRED');
  }

  /** The interceptor's part: claim, then run, replay or refuse. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Awaitable<Observable<unknown>> {
    const exchange = HttpExchange.of(context, handler);
    // Registered twice, or on the class and on the method: the first one has claimed.
    if (exchange.isTaken) return next.handle();
    exchange.isTaken = true;
    if (exchange.isSafe) return this.runUnprotected(next, exchange, handler);
    return chain(handler.principal(exchange), (principal) => {
      exchange.principal = principal;
      return chain(exchange.key ?? this.readKey(exchange, handler), (key) => {
        if (key === undefined) {
          if (handler.required) throw this.refuse(exchange, 'IDEMPOTENCY_KEY_REQUIRED');
          return this.runUnprotected(next, exchange, handler);
        }
        exchange.key = key;
        return chain(
          this.orRefuse(exchange, () => handler.fingerprint(exchange)),
          (fingerprint) => this.begin(next, exchange, handler, key, fingerprint),
        );
      });
    });
  }

  refusal(
    code: IdempotencyErrorCode,
    retryAfterMs?: number,
    cause?: unknown,
  ): IdempotencyException {
    const { problemBaseUrl } = this;
    return new IdempotencyException(code, { retryAfterMs, problemBaseUrl, cause });
  }

  private begin(
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
    key: string,
    fingerprint: string,
  ): Awaitable<Observable<unknown>> {
    const { scope, principal, raw } = exchange;
    const id = recordId(scope, principal, key);
    const request: OperationRequest = {
      id,
      scope,
      fingerprint,
      policy: handler.policy,
      transaction: handler.transaction,
      recover:
        handler.recover &&
        recovery(handler.recover, { key, scope, principal }, id, encodeRecoveredHttpReply),
      isWanted: () => !raw.destroyed,
    };
    return chain(this.engine.begin(request), (beginning) =>
      this.goOn(beginning, next, exchange, handler),
    );
  }

  private goOn(
    beginning: Beginning,
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
  ): Awaitable<Observable<unknown>> {
    switch (beginning.outcome) {
      case 'execute': {
        const { claim } = beginning;
        const run = new HandlerRun(handler.method, new CurrentOperation(exchange, claim), claim);
        return new HttpOperation(this, handler, exchange, claim, run).execute(next);
      }
      case 'replay':
        return this.replay(exchange, beginning.reply);
      case 'refused':
        // The engine has told its listeners already.
        throw this.exception(exchange, beginning.code, beginning);
      case 'unprotected':
        return this.runUnprotected(next, exchange, handler);
    }
  }

  private replay(exchange: HttpExchange, recorded: Uint8Array): Awaitable<Observable<unknown>> {
    let reply: Reply;
    try {
      reply = decodeReply(recorded);
    } catch (cause) {
      if (!(cause instanceof UnreadableReplyError)) throw cause;
      throw this.refuse(exchange, 'IDEMPOTENCY_RECORD_UNREADABLE', { cause });
    }
    if (reply.kind === 'not-kept') throw this.refuse(exchange, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    // A value that was recorded outside HTTP under the same explicit scope.
    if (reply.kind !== 'http') throw this.refuse(exchange, 'IDEMPOTENCY_RECORD_UNREADABLE');
    // The pipeline ends normally, so that interceptors further out see it complete.
    return chain(replay(exchange, reply), () => of(undefined));
  }

  private runUnprotected(
    next: CallHandler,
    exchange: HttpExchange,
    { method }: ProtectedHandler,
  ): Observable<unknown> {
    const run = new HandlerRun(method, new CurrentOperation(exchange, undefined), undefined);
    return handlerRuns.run(run, () => next.handle());
  }

  private readKey(
    exchange: HttpExchange,
    handler: ProtectedHandler,
  ): Awaitable<string | undefined> {
    return this.orRefuse(exchange, () => handler.key.read(exchange));
  }

  /** Runs a part that may fail in ways that have an answer of their own, at once or later. */
  private orRefuse<T>(exchange: HttpExchange, run: () => Awaitable<T>): Awaitable<T> {
    const refuse = (cause: unknown): never => {
      const code = refusalOf(cause);
      throw code === undefined ? cause : this.refuse(exchange, code, { cause });
    };
    try {
      const result = run();
      return isPending(result) ? Promise.resolve(result).catch(refuse) : result;
    } catch (cause) {
      return refuse(cause);
    }
  }

  /** A refusal that the engine does not know of. */
  private refuse(
    exchange: HttpExchange,
    code: IdempotencyErrorCode,
    reason: { cause?: unknown } = {},
  ): IdempotencyException {
    const { events } = this.engine;
    const { scope } = exchange;
    if (events.hasListeners) events.emit({ type: 'rejected', scope, code, cause: reason.cause });
    return this.exception(exchange, code, reason);
  }

  /** The exception, with its headers on the response for whichever filter answers it. */
  private exception(
    exchange: HttpExchange,
    code: IdempotencyErrorCode,
    { retryAfterMs, cause }: { retryAfterMs?: number; cause?: unknown } = {},
  ): IdempotencyException {
    const detail = isInvalidKeyError(cause) ? cause.message : undefined;
    const { problemBaseUrl } = this;
    const exception = new IdempotencyException(code, {
      retryAfterMs,
      problemBaseUrl,
      detail,
      cause,
    });
    // The caller cannot mend it; whoever runs the application can.
    if (exception.getStatus() === 500)
      this.logger.error(`${code} on ${exchange.scope}: ${messageOf(cause)}`);
    const base = exchange.response.getHeaders();
    for (const [name, value] of problemHeaders(exception, base))
      this.adapterHost.httpAdapter.setHeader(exchange.response, name, value);
    return exception;
  }
}

/** What a key source or a fingerprint that failed means to the client. */
function refusalOf(error: unknown): IdempotencyErrorCode | undefined {
  if (isInvalidKeyError(error)) return 'IDEMPOTENCY_KEY_INVALID';
  return isFingerprintUnavailableError(error) ? 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE' : undefined;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the record belongs to another kind of call';
}
