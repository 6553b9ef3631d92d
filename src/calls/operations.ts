import { Logger } from '@nestjs/common';
import { type Awaitable, chain, isPending } from '../engine/awaitable.js';
import type { IdempotencyEngine } from '../engine/engine.js';
import { beginLayers } from '../engine/layers.js';
import type { Beginning, OperationRequest } from '../engine/operation.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { ProtectedHandler, ProtectedLayer } from '../handlers/protected-handler.js';
import type { IdempotentCall } from '../keys/call.js';
import { isOfSameJob } from '../keys/jobs.js';
import { ageBounds, type KeyAge } from '../keys/key-age.js';
import { recordId } from '../keys/record-id.js';
import { logExhausted } from './failure.js';
import type { IdempotencyException } from '../operation/idempotency.exception.js';
import type { RecoveredReply } from '../operation/recovery.js';
import type { StrategyCall } from '../strategies/strategy.js';
import { exceptionOf, messageOf, type RefusalReason, refusalOf } from './refused.js';
import type { Passage } from './passage.js';
import type { Callers } from './callers.js';
import { recovery } from './recovery-call.js';

/** A call on its way through a transport. */
export interface TransportCall extends IdempotentCall {
  principal: string | undefined;
  /** The handler's scope; with several layers, that of the operation as soon as it is known. */
  scope: string;
  /** The outermost layer's key, as soon as it is known. */
  key: string | undefined;
  /** False once nobody waits for the answer any more. */
  readonly isWanted?: () => boolean;
  /** True once the pipeline has continued without this call. Then nothing may run for it. */
  readonly isLeft?: () => boolean;
  /** Statuses of refusals, where they differ from the table. */
  readonly statuses?: ProtectedHandler['statuses'];
  /** True for the job of a queue. */
  readonly isOfJob?: boolean;
  /** Present if interceptors may subscribe more than once. */
  passage?: Passage;
}

/** What a transport says about its calls. */
export interface CallForm<Call extends TransportCall> {
  /** Encodes the reply that the application gave for an operation, in the form that is replayed. */
  encodeRecovered(reply: RecoveredReply, call: Call, layer: ProtectedLayer): Uint8Array;
  /** Called for a call whose caller cannot be identified. */
  unknownCaller?(call: Call, handler: ProtectedHandler): void;
  /** True if the current code is already part of the operation with this record. */
  joins?(id: string): boolean;
  /** Called for every call that is refused. */
  refused?(call: Call): void;
  /** True if it reports every refusal itself. */
  readonly reportsRefusals?: boolean;
}

/** The call is part of an operation that is already running. */
interface Joined {
  readonly outcome: 'joined';
}

/** What the strategies of a call contribute to its end. */
export type Endings = Pick<StrategyCall, 'headers' | 'answer' | 'onError' | 'onRefused'>;

/** What the engine has decided, and how the call ends. */
export interface Begun extends Endings {
  readonly beginning: Beginning | Joined;
}

const FROM_THE_FUTURE =
  'The time in the idempotency key lies in the future. Correct the clock of the client, and send a new key.';

const logger = new Logger('Idempotency');

const JOINED: Begun = { beginning: { outcome: 'joined' } };

/** The operation that one layer makes from a call. */
interface LayerOperation {
  readonly key: string;
  readonly request: OperationRequest;
  readonly own?: StrategyCall;
}

/**
 * Makes operations from calls: keys, fingerprints and preconditions. The same for every transport.
 */
export class Operations<Call extends TransportCall> {
  /** The scopes that were already logged because nothing parses the content that callers send. */
  private readonly unparsed = new Set<string>();

  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly form: CallForm<Call>,
    private readonly callers: Callers,
    private readonly problemBaseUrl: string | undefined,
  ) {}

  /**
   * Checks that keys in the head are present and well formed. No I/O.
   *
   * @throws {@link IdempotencyException}
   */
  checkHead(call: Call, { layers }: ProtectedHandler): void {
    for (const layer of layers) {
      if (!layer.key.readsOnlyHead) continue;
      const key = this.readKey(call, layer);
      if (key === undefined && layer.required) throw this.missing(call, layer);
      // Sources that read only the head answer at once.
      if (layer === layers[0]) call.key = key as string | undefined;
    }
  }

  /**
   * Asks the engine what happens to the call; `undefined` for a call that has no key and needs
   * none.
   *
   * @throws {@link IdempotencyException}
   */
  begin(call: Call, handler: ProtectedHandler): Awaitable<Begun | undefined> {
    return chain(handler.principal(call), (principal) => {
      call.principal = principal;
      if (principal === undefined) this.form.unknownCaller?.(call, handler);
      const { layers } = handler;
      return layers.length === 1 ? this.beginOne(call, layers[0]) : this.beginAll(call, layers);
    });
  }

  /** A refusal that does not come from the engine. */
  refuse(
    call: Call,
    { policy }: Pick<ProtectedLayer, 'policy'>,
    code: IdempotencyErrorCode,
    reason: RefusalReason = {},
  ): IdempotencyException {
    const { events } = this.engine;
    const { scope } = call;
    const { strategy } = policy;
    const { cause } = reason;
    if (events.hasListeners) events.emit({ type: 'rejected', scope, strategy, code, cause });
    return this.exception(call, code, reason);
  }

  /**
   * The error that answers the call. If no caller can fix the cause, it is logged for operators.
   */
  exception(call: Call, code: IdempotencyErrorCode, reason: RefusalReason): IdempotencyException {
    const status = reason.status ?? call.statuses?.[code];
    const exception = exceptionOf(code, { ...reason, status }, this.problemBaseUrl);
    this.form.refused?.(call);
    if (this.form.reportsRefusals === true) return exception;
    if (code === 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED') logExhausted(call.scope, undefined);
    if (exception.getStatus() === 500)
      logger.error(`${code} on ${call.scope}: ${messageOf(reason.cause)}`);
    // Callers may send anything, so one warning is enough for operators who want to read such
    // content.
    else if (code === 'IDEMPOTENCY_CONTENT_NOT_PARSED' && !this.unparsed.has(call.scope)) {
      this.unparsed.add(call.scope);
      logger.warn(`${code} on ${call.scope}: ${messageOf(reason.cause)}`);
    }
    return exception;
  }

  private beginOne(call: Call, layer: ProtectedLayer): Awaitable<Begun | undefined> {
    return chain(this.operation(call, layer, call.key), (operation) => {
      if (operation === undefined) return undefined;
      call.key = operation.key;
      const { own } = operation;
      const request = this.counted(call, operation.request);
      if (this.form.joins?.(request.id)) return JOINED;
      const { engine } = this;
      const beginning =
        request.precondition === undefined ? engine.begin(request) : beginLayers(engine, [request]);
      return chain(beginning, (begun) =>
        own === undefined ? { beginning: begun } : { ...endingsOf([own]), beginning: begun },
      );
    });
  }

  private async beginAll(
    call: Call,
    layers: readonly ProtectedLayer[],
  ): Promise<Begun | undefined> {
    const operations: LayerOperation[] = [];
    for (const layer of layers) {
      const operation = await this.operation(call, layer, undefined);
      if (operation !== undefined) operations.push(operation);
    }
    if (operations.length === 0) return undefined;
    // A lock is not an operation, so another layer gives the call its identity.
    const known = operations.find(({ request }) => request.policy.keepsReply) ?? operations[0]!;
    call.key = known.key;
    if (known !== operations[0]) call.scope = known.request.scope;
    // One call counts once, however many records it has.
    const requests = operations.map((one) =>
      one === known ? this.counted(call, one.request) : one.request,
    );
    if (this.form.joins?.(requests[0]!.id)) return JOINED;
    return {
      ...endingsOf(operations.flatMap(({ own }) => own ?? [])),
      beginning: await beginLayers(this.engine, requests),
    };
  }

  /** A lock keeps no record of its keys, so none of them is new. */
  private counted(call: Call, request: OperationRequest): OperationRequest {
    const caller = request.policy.keepsReply ? this.callers.callerOf(call) : undefined;
    return caller === undefined ? request : { ...request, caller };
  }

  /**
   * The operation that a layer makes from the call; `undefined` if it has no key and needs none.
   */
  private operation(
    call: Call,
    layer: ProtectedLayer,
    known: string | undefined,
  ): Awaitable<LayerOperation | undefined> {
    return chain(known ?? this.readKey(call, layer), (key) => {
      if (key === undefined) {
        if (layer.required) throw this.missing(call, layer);
        return undefined;
      }
      return chain(
        this.orRefuse(call, layer, () => layer.fingerprint(call)),
        (fingerprint) => {
          const request = this.request(call, layer, key, fingerprint);
          const { ttlOf, label, age } = layer;
          const isPlain = ttlOf === undefined && label === undefined && age === undefined;
          return isPlain
            ? this.inPlace(call, layer, key, request)
            : this.declared(call, layer, key, request);
        },
      );
    });
  }

  private inPlace(
    call: Call,
    layer: ProtectedLayer,
    key: string,
    request: OperationRequest,
  ): Awaitable<LayerOperation> {
    const { sourceOf } = layer.transaction ?? {};
    if (sourceOf !== undefined) return this.inSource(call, layer, { key, request }, sourceOf);
    if (layer.begin === undefined) return { key, request };
    return chain(
      this.orRefuse(call, layer, () => layer.begin!(call, key)),
      (own) => ({ key, request: withStrategyCall(request, own), own }),
    );
  }

  /** What the application says about this call alone. Without its ttl, nothing runs. */
  private async declared(
    call: Call,
    layer: ProtectedLayer,
    key: string,
    request: OperationRequest,
  ): Promise<LayerOperation> {
    let { ttlMs } = request.policy;
    try {
      ttlMs = (await layer.ttlOf?.(call)) ?? ttlMs;
    } catch (cause) {
      throw this.refuse(call, layer, 'IDEMPOTENCY_NOT_PROTECTED', { cause });
    }
    const policy = { ...request.policy, ttlMs };
    const label = await layer.label?.(call);
    const told = { ...request, policy, label };
    const timely = layer.age === undefined ? told : await this.timely(call, layer, layer.age, told);
    return this.inPlace(call, layer, key, timely);
  }

  /** A key that is older than its record can be is good for an operation on record, and no other. */
  private async timely(
    call: Call,
    layer: ProtectedLayer,
    age: KeyAge,
    request: OperationRequest,
  ): Promise<OperationRequest> {
    const { mostMs, aheadMs, keepForMs } = ageBounds(age, request.policy.ttlMs);
    const ageMs = Date.now() - (await this.orRefuse(call, layer, () => age.sentAt(call)));
    if (ageMs < -aheadMs)
      throw this.refuse(call, layer, 'IDEMPOTENCY_KEY_INVALID', { detail: FROM_THE_FUTURE });
    const late = ageMs > mostMs ? ({ refuseUnknown: 'IDEMPOTENCY_KEY_EXPIRED' } as const) : {};
    return { ...request, leastTtlMs: keepForMs, ...late };
  }

  /** The data source of this call alone: another tenant's records are other records. */
  private async inSource(
    call: Call,
    layer: ProtectedLayer,
    { key, request }: LayerOperation,
    sourceOf: (call: Call) => Promise<string>,
  ): Promise<LayerOperation> {
    let source: string;
    try {
      source = await sourceOf(call);
    } catch (cause) {
      throw this.refuse(call, layer, 'IDEMPOTENCY_NOT_PROTECTED', { cause });
    }
    const { secondConnection } = request.transaction ?? {};
    const placed = { ...request, transaction: { source, secondConnection } };
    const own = await this.orRefuse(call, layer, () => layer.begin?.(call, key));
    return own === undefined
      ? { key, request: placed }
      : { key, request: withStrategyCall(placed, own), own };
  }

  private request(
    call: Call,
    layer: ProtectedLayer,
    key: string,
    fingerprint: string,
  ): OperationRequest {
    const { policy, transaction, options } = layer;
    const { passage, isLeft = passage && (() => passage.isLeft) } = call;
    const scope = layer.scope ?? call.scope + layer.scopeSuffix;
    const principal = layer.perPrincipal ? call.principal : undefined;
    const id = recordId(scope, principal, key);
    return {
      id,
      scope,
      fingerprint,
      accepts:
        call.job === undefined ? undefined : (recorded) => isOfSameJob(recorded, fingerprint),
      policy,
      transaction,
      recover: recovery(options.onAbandoned, { key, scope, principal }, id, layer.values, (reply) =>
        this.form.encodeRecovered(reply, call, layer),
      ),
      isWanted: call.isWanted ?? (isLeft && (() => !isLeft())),
      isLeft,
    };
  }

  private readKey(call: Call, layer: ProtectedLayer): Awaitable<string | undefined> {
    return this.orRefuse(call, layer, () => layer.key.read(call));
  }

  private missing(call: Call, layer: ProtectedLayer): IdempotencyException {
    return this.refuse(call, layer, layer.refusals.missing ?? 'IDEMPOTENCY_KEY_REQUIRED');
  }

  /** Runs a part whose failures may have their own refusals, at once or later. */
  private orRefuse<T>(call: Call, layer: ProtectedLayer, run: () => Awaitable<T>): Awaitable<T> {
    const refuse = (cause: unknown): never => {
      const code = refusalOf(cause, layer);
      throw code === undefined ? cause : this.refuse(call, layer, code, { cause });
    };
    try {
      const result = run();
      return isPending(result) ? Promise.resolve(result).catch(refuse) : result;
    } catch (cause) {
      return refuse(cause);
    }
  }
}

type Headers = Readonly<Record<string, string>>;

/** Of several strategies, the outermost that has something to contribute; the headers of all. */
function endingsOf(own: readonly StrategyCall[]): Endings {
  const hasHeaders = own.some(({ headers }) => headers !== undefined);
  return {
    headers: hasHeaders
      ? () => Object.assign({}, ...own.map((one) => one.headers?.())) as Headers
      : undefined,
    answer: own.find(({ answer }) => answer)?.answer,
    onError: own.find(({ onError }) => onError)?.onError,
    onRefused: own.find(({ onRefused }) => onRefused)?.onRefused,
  };
}

/** What the strategy says about this call takes precedence over what it says about all calls. */
function withStrategyCall(
  request: OperationRequest,
  { precondition, refuseUnknown, keepForMs = 0, keepsReply = true }: StrategyCall,
): OperationRequest {
  const { policy } = request;
  const ttlMs = Math.max(policy.ttlMs, keepForMs);
  return {
    ...request,
    precondition,
    refuseUnknown: refuseUnknown ?? request.refuseUnknown,
    leastTtlMs: Math.max(keepForMs, request.leastTtlMs ?? 0),
    policy: { ...policy, ttlMs, keepsReply: policy.keepsReply && keepsReply },
  };
}
