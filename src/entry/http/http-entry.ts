import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { type Observable, of } from 'rxjs';
import { type Awaitable, chain, isPending } from '../../engine/awaitable.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { beginLayers } from '../../engine/layers.js';
import type { Beginning, OperationRequest, Refused } from '../../engine/operation.js';
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
import type { StrategyCall } from '../../strategies/strategy.js';
import type { ProtectedHandler, ProtectedLayer } from '../protected-handler.js';
import { encodeRecoveredHttpReply, recovery } from '../recovery-call.js';
import { type FrameworkResponse, HttpExchange } from './exchange.js';
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

  /** The guard's part: keys that are sent in the head are there and well formed. No I/O. */
  check(context: ExecutionContext, handler: ProtectedHandler): void {
    const exchange = HttpExchange.of(context, handler);
    if (exchange.isSafe) return;
    for (const layer of handler.layers) {
      if (!layer.key.readsOnlyHead) continue;
      const key = this.readKey(exchange, layer);
      if (key === undefined && layer.required) throw this.refuseMissing(exchange, layer);
      // Sources that read only the head answer at once.
      if (layer === handler.layers[0]) exchange.key = key as string | undefined;
    }
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
      const { layers } = handler;
      return layers.length === 1
        ? this.beginOne(next, exchange, handler, layers[0])
        : this.beginAll(next, exchange, handler);
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

  setHeader(response: FrameworkResponse, name: string, value: string): void {
    this.adapterHost.httpAdapter.setHeader(response, name, value);
  }

  private beginOne(
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
    layer: ProtectedLayer,
  ): Awaitable<Observable<unknown>> {
    return chain(this.operation(exchange, layer, exchange.key), (operation) => {
      if (operation === undefined) return this.runUnprotected(next, exchange, handler);
      exchange.key = operation.key;
      const { request } = operation;
      const beginning =
        request.precondition === undefined
          ? this.engine.begin(request)
          : beginLayers(this.engine, [request]);
      return chain(beginning, (begun) =>
        this.goOn(begun, next, exchange, handler, operation.headers),
      );
    });
  }

  private async beginAll(
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
  ): Promise<Observable<unknown>> {
    const operations: LayerOperation[] = [];
    for (const layer of handler.layers) {
      const operation = await this.operation(exchange, layer, undefined);
      if (operation !== undefined) operations.push(operation);
    }
    if (operations.length === 0) return this.runUnprotected(next, exchange, handler);
    exchange.key = operations[0]!.key;
    const beginning = await beginLayers(
      this.engine,
      operations.map(({ request }) => request),
    );
    const headers: StrategyCall['headers'] = () =>
      Object.assign({}, ...operations.map((operation) => operation.headers?.())) as Headers;
    return this.goOn(beginning, next, exchange, handler, headers);
  }

  /** What a layer makes of the call; `undefined` when it has no key, and needs none. */
  private operation(
    exchange: HttpExchange,
    layer: ProtectedLayer,
    known: string | undefined,
  ): Awaitable<LayerOperation | undefined> {
    return chain(known ?? this.readKey(exchange, layer), (key) => {
      if (key === undefined) {
        if (layer.required) throw this.refuseMissing(exchange, layer);
        return undefined;
      }
      return chain(
        this.orRefuse(exchange, layer, () => layer.fingerprint(exchange)),
        (fingerprint) => {
          if (layer.begin === undefined)
            return { key, request: this.request(exchange, layer, key, fingerprint) };
          return chain(
            this.orRefuse(exchange, layer, () => layer.begin!(exchange, key)),
            (call): LayerOperation => ({
              key,
              request: withCall(this.request(exchange, layer, key, fingerprint), call),
              headers: call.headers,
            }),
          );
        },
      );
    });
  }

  private request(
    exchange: HttpExchange,
    layer: ProtectedLayer,
    key: string,
    fingerprint: string,
  ): OperationRequest {
    const { raw } = exchange;
    const { policy, transaction, recover } = layer;
    const scope = layer.scope ?? exchange.scope + layer.scopeSuffix;
    const principal = layer.perPrincipal ? exchange.principal : undefined;
    const id = recordId(scope, principal, key);
    return {
      id,
      scope,
      fingerprint,
      policy,
      transaction,
      recover:
        recover && recovery(recover, { key, scope, principal }, id, encodeRecoveredHttpReply),
      isWanted: () => !raw.destroyed,
    };
  }

  private goOn(
    beginning: Beginning,
    next: CallHandler,
    exchange: HttpExchange,
    handler: ProtectedHandler,
    headers: StrategyCall['headers'],
  ): Awaitable<Observable<unknown>> {
    switch (beginning.outcome) {
      case 'execute': {
        const { claim } = beginning;
        const run = new HandlerRun(handler.method, new CurrentOperation(exchange, claim), claim);
        const operation = new HttpOperation(this, handler, exchange, claim, run);
        if (headers !== undefined) operation.promise(headers());
        return operation.execute(next);
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

  private readKey(exchange: HttpExchange, layer: ProtectedLayer): Awaitable<string | undefined> {
    return this.orRefuse(exchange, layer, () => layer.key.read(exchange));
  }

  private refuseMissing(
    exchange: HttpExchange,
    { refusals }: ProtectedLayer,
  ): IdempotencyException {
    return this.refuse(exchange, refusals.missing ?? 'IDEMPOTENCY_KEY_REQUIRED');
  }

  /** Runs a part that may fail in ways that have an answer of their own, at once or later. */
  private orRefuse<T>(
    exchange: HttpExchange,
    layer: ProtectedLayer,
    run: () => Awaitable<T>,
  ): Awaitable<T> {
    const refuse = (cause: unknown): never => {
      const code = refusalOf(cause, layer);
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
    { retryAfterMs, cause, unmet }: Partial<Omit<Refused, 'code' | 'outcome'>> = {},
  ): IdempotencyException {
    // A strategy with a refusal of its own says the same of every key that is none.
    const isAboutKey = code === 'IDEMPOTENCY_KEY_INVALID' && isInvalidKeyError(cause);
    const { problemBaseUrl } = this;
    const exception = new IdempotencyException(code, {
      retryAfterMs,
      problemBaseUrl,
      cause,
      status: unmet?.status,
      members: unmet?.members,
      detail: isAboutKey ? cause.message : unmet?.detail,
    });
    // The caller cannot mend it; whoever runs the application can.
    if (exception.getStatus() === 500)
      this.logger.error(`${code} on ${exchange.scope}: ${messageOf(cause)}`);
    const base = exchange.response.getHeaders();
    for (const [name, value] of problemHeaders(exception, base))
      this.setHeader(exchange.response, name, value);
    return exception;
  }
}

type Headers = Readonly<Record<string, string>>;

/** What one layer makes of a call. */
interface LayerOperation {
  readonly key: string;
  readonly request: OperationRequest;
  readonly headers?: StrategyCall['headers'];
}

/** What the strategy has to say of this call, over what it says of all. */
function withCall(
  request: OperationRequest,
  { precondition, refuseUnknown, keepForMs = 0, keepsReply = true }: StrategyCall,
): OperationRequest {
  const { policy } = request;
  const retentionMs = Math.max(policy.retentionMs, keepForMs);
  return {
    ...request,
    precondition,
    refuseUnknown,
    leastRetentionMs: keepForMs,
    policy: { ...policy, retentionMs, keepsReply: policy.keepsReply && keepsReply },
  };
}

/** What a key source or a fingerprint that failed means to the client. */
function refusalOf(error: unknown, { refusals }: ProtectedLayer): IdempotencyErrorCode | undefined {
  if (isInvalidKeyError(error)) return refusals.invalid ?? 'IDEMPOTENCY_KEY_INVALID';
  return isFingerprintUnavailableError(error) ? 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE' : undefined;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'the record belongs to another kind of call';
}
