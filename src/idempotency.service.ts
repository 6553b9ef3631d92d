import { Inject, Injectable } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { isIdempotencyConfigurationError, wrongOption } from './engine/configuration-error.js';
import type { Duration } from './engine/duration.js';
import type { CircuitChange } from './engine/circuit.js';
import type { IdempotencyEvent } from './engine/events.js';
import { IdempotencyEngine } from './engine/engine.js';
import { newOwner } from './engine/owned-record.js';
import type { IdempotencyErrorCode } from './engine/refusals.js';
import type { StoreCall, StoreCallName } from './engine/store-calls.js';
import type { Awaitable, IdempotencyStore } from './engine/store.js';
import type { SettledBy } from './engine/story.js';
import { ValueOperations } from './calls/value-operations.js';
import { type DirectCall } from './calls/value-call.js';
import { Coverage, type CoverageEntry } from './handlers/coverage.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { HandlerResolver } from './handlers/handler-resolver.js';
import { handlerRuns } from './operation/handler-run.js';
import type { IdempotentOperation } from './operation/idempotent-operation.js';
import { encodeForScope } from './calls/recovery-call.js';
import { IdempotencyException } from './operation/idempotency.exception.js';
import { IDEMPOTENCY_STORE, MODULE_OPTIONS_TOKEN } from './options/module-definition.js';
import {
  type IdempotencyModuleOptions,
  type IdempotentOptions,
} from './options/idempotency.options.js';
import type { Identifier } from './keys/call.js';
import { contentFingerprint } from './keys/fingerprint.js';
import { directKey, type DirectKey } from './keys/key-part.js';
import { labelOf } from './keys/label.js';
import { directPrincipal } from './keys/principal.js';
import { recordId } from './keys/record-id.js';
import type { Reply } from './replies/reply.js';
import { checkSweep } from './idempotency.options-check.js';
import { AbandonedSweep } from './idempotency.sweep.js';
import { IdempotencyEvents } from './observability/idempotency-events.js';
import {
  type ListQuery,
  type OperationList,
  type OperationView,
  type OperatorDecision,
  OperatorRecords,
  type RecordById,
} from './operators/operator-records.js';
import type { SweepOptions } from './options/store-options.js';
import { type PurgeCallOptions, type PurgeResult, purgeStore } from './operators/purge.js';
import type { SweepResult } from './operators/sweep.js';

const UNREACHABLE = 'The record could not be reached. Try again later.';

/** Names one operation. */
export interface OperationRef {
  /** Namespace of the key: a handler's `METHOD /route/template`, or any name that you choose. */
  readonly scope: string;
  /** The key, or its parts. */
  readonly key: DirectKey;
  /** Who is calling; absent for an anonymous caller. */
  readonly principal?: Identifier;
}

/** Names one operation for operators: by its key, or by the record's id. */
export type RecordRef = (OperationRef & Pick<RecordById, 'source'>) | RecordById;

/** The options of `IdempotencyService.run()`. */
export interface RunOptions
  extends
    OperationRef,
    Pick<
      IdempotentOptions,
      | 'lease'
      | 'wait'
      | 'retryAfter'
      | 'onDuplicate'
      | 'onError'
      | 'onAbandoned'
      | 'maxAttempts'
      | 'onStoreFailure'
      | 'onRecordFailure'
      | 'transaction'
      | 'secondConnection'
      | 'conflictRetries'
      | 'returns'
    > {
  /**
   * How long a finished operation is answered from its record.
   * @default '24h'
   */
  readonly ttl?: Duration;
  /** What a retry must repeat, as a JSON-like value; absent compares nothing. */
  readonly content?: unknown;
  /** What operators know the operation by, such as an order number; never the key. */
  readonly label?: string;
}

/** Protects any code, and lets operators inspect and settle single operations. */
@Injectable()
export class IdempotencyService {
  /** Everything that happens to operations. Carries no keys, bodies or replies. */
  readonly events$: Observable<IdempotencyEvent>;
  /** Every call of the store, with its duration. */
  readonly storeCalls$: Observable<StoreCall>;
  /** When the store has begun or ceased to fail, so that calls are refused at once (`circuitBreaker`). */
  readonly circuit$: Observable<CircuitChange>;
  private readonly records: OperatorRecords;
  /** The record that this process writes in `checkStore()`. */
  private readonly probeId = recordId('nestjs-idempotency:check', undefined, newOwner());

  constructor(
    private readonly engine: IdempotencyEngine,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
    private readonly operations: ValueOperations,
    private readonly resolver: HandlerResolver,
    handlers: HandlerRegistry,
    private readonly covered: Coverage,
    private readonly abandoned: AbandonedSweep,
    events: IdempotencyEvents,
    @Inject(IDEMPOTENCY_STORE) private readonly store: IdempotencyStore,
  ) {
    this.records = new OperatorRecords({
      store: engine.calls.store,
      ask: (verb, run) => this.ask(verb, run),
      forget: (id, place) => this.orRefuse(() => engine.forget(id, place)),
      encode: (reply, scope) => encodeForScope(reply, scope, handlers, operations.values),
      ttlMsOf: (scope) =>
        scope === undefined ? undefined : handlers.withScope(scope)?.policy.ttlMs,
      maxAttemptsOf: (scope) => {
        const handler = scope === undefined ? undefined : handlers.withScope(scope);
        return handler && (handler.policy.maxAttempts?.times ?? Infinity);
      },
      events,
    });
    this.events$ = events.events$;
    this.storeCalls$ = events.storeCalls$;
    this.circuit$ = events.circuit$;
  }

  /**
   * Runs `fn` once per scope, principal and key. Every later call gets what the first returned,
   * with its types, or its error if that is the operation's result.
   *
   * @throws {@link IdempotencyException} for every refusal, and what `fn` throws
   *
   * @example
   * ```ts
   * await idempotency.run({ scope: 'invoice', key: orderNo, ttl: '7d' }, () => this.send(orderNo));
   * ```
   */
  async run<T>(
    options: RunOptions,
    fn: (operation: IdempotentOperation) => T | PromiseLike<T>,
  ): Promise<T> {
    const { scope, content, onError, onAbandoned } = options;
    const { defaults } = this.options;
    const identity = this.identify(options);
    const { policy, transaction } = this.resolver.resolveRun(options);
    const call: DirectCall = {
      name: `IdempotencyService.run() with scope ${JSON.stringify(scope)}`,
      values: this.resolver.resolveReturned(options.returns),
      id: identity.id,
      key: identity.key,
      scope,
      principal: identity.principal,
      fingerprint: content === undefined ? '' : contentFingerprint(content),
      label: labelOf(options.label),
      policy,
      transaction,
      onError: onError ?? defaults?.onError,
      onAbandoned: onAbandoned ?? defaults?.onAbandoned,
    };
    return this.operations.run(call, fn);
  }

  /** The names of the data sources that have records beside the store's own, for {@link list} and {@link settle}. */
  get sources(): readonly string[] {
    return this.records.sources;
  }

  /** The operation that the current code is part of; `undefined` outside of one. */
  current(): IdempotentOperation | undefined {
    return handlerRuns.getStore()?.alive?.operation;
  }

  /**
   * Every protected route, message, mutation, job and method with its scope and strategies, and
   * every other handler that changes state. Use it in a test to check that nothing was forgotten.
   */
  coverage(): readonly CoverageEntry[] {
    return this.covered.list();
  }

  /**
   * The operation, or `undefined` if there is none on record.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`, like the methods below
   */
  async find(ref: RecordRef): Promise<OperationView | undefined> {
    return this.records.find(this.byId(ref));
  }

  /**
   * The operations in one state, a page at a time: what is held, for how long, and why. Held operations
   * come in the order in which they were held. A page takes about the same time however many records
   * there are; with another state, or with `scope`, `label` or `olderThan`, it may be short or empty and
   * still have a `cursor`.
   *
   * @throws {@link IdempotencyConfigurationError} for a wrong query, or a store that lists nothing
   *
   * @example
   * ```ts
   * const { records, cursor } = await idempotency.list({ state: 'held', olderThan: '1h' });
   * ```
   */
  async list(query: ListQuery): Promise<OperationList> {
    return this.records.list(query);
  }

  /**
   * How the operation ended: the value or error of code, a method or a message, what was sent over
   * HTTP, or the tombstone of a reply that was not kept. `undefined` if no end is on record.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE` too
   */
  async reply(ref: RecordRef): Promise<Reply | undefined> {
    const { record } = await this.records.look(this.byId(ref));
    if (record?.state !== 'completed') return undefined;
    const { unreadable: cause, reply } = record;
    if (cause !== undefined) throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE', cause);
    return reply && this.operations.read(reply);
  }

  /**
   * Deletes the record, so that the next call runs as if it were the first. `false` if there is
   * nothing to delete, or if an owner is running. The event `forgotten` says who did it, and why.
   */
  async forget(ref: RecordRef, forgottenBy?: SettledBy): Promise<boolean> {
    return this.records.forget(this.byId(ref), forgottenBy, scopeIn(ref));
  }

  /**
   * Writes a record that expires at once, for readiness checks.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`, with the reason as its `cause`
   */
  async checkStore(): Promise<void> {
    await this.ask('issue', (store) => store.issue({ id: this.probeId, ttlMs: 1 }));
  }

  /**
   * Settles an operation that is held or abandoned. `'release'` lets the next call run as another
   * attempt; a reply ({@link recoveredReply}) is recorded and replayed, for as long as the handler's own
   * would have been; `'hold'` holds an abandoned one. `false` if it is neither held nor abandoned. The
   * record keeps who settled it and why, and the event `settled` says so.
   *
   * @example
   * ```ts
   * await idempotency.settle({ id }, recoveredReply({ id: 'ch_1' }, { status: 201 }), {
   *   by: 'anna',
   *   reason: 'the provider says: paid',
   * });
   * ```
   */
  async settle(
    ref: RecordRef,
    decision: OperatorDecision,
    settledBy?: SettledBy,
  ): Promise<boolean> {
    return this.records.settle(this.byId(ref), decision, settledBy, scopeIn(ref));
  }

  /**
   * Looks once for abandoned operations, as the module option `sweep` does at intervals; for a scheduler
   * where processes freeze between requests. Nothing is done while another process sweeps.
   *
   * @throws {@link IdempotencyConfigurationError} for a wrong option
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`
   *
   * @example
   * ```ts
   * const { held, replied } = await idempotency.sweep({ time: '20s' });
   * ```
   */
  async sweep(options: Omit<SweepOptions, 'every'> = {}): Promise<SweepResult> {
    checkSweep(options, 'option of sweep()');
    return this.orRefuse(() => this.abandoned.once(options));
  }

  /**
   * Deletes expired records that nobody has deleted yet, in statements of `batch` records, until there
   * are none or the time is over; for a scheduler where processes freeze, with `purge: false` on the
   * store. A store whose server deletes them itself has nothing to do.
   *
   * @throws {@link IdempotencyConfigurationError} for a wrong option
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`
   */
  async purge(options: PurgeCallOptions = {}): Promise<PurgeResult> {
    return this.orRefuse(() => purgeStore(this.store, options));
  }

  private byId(ref: RecordRef): RecordById {
    if (!('id' in ref)) return { id: this.identify(ref).id, source: ref.source };
    if (typeof ref.id === 'string' && /^[0-9a-f]{64}$/.test(ref.id)) return ref;
    throw wrongOption(
      'id',
      ref.id,
      'the id of a record: 64 hexadecimal digits',
      'Take it from an event, a list, or the log line of the alarm.',
    );
  }

  private async ask<T>(
    verb: StoreCallName,
    run: (store: IdempotencyStore) => Awaitable<T>,
  ): Promise<T> {
    return this.orRefuse(() => this.engine.calls.call(verb, run));
  }

  private async orRefuse<T>(ask: () => Awaitable<T>): Promise<T> {
    try {
      return await ask();
    } catch (cause) {
      if (isIdempotencyConfigurationError(cause)) throw cause;
      throw this.refusal('IDEMPOTENCY_STORE_UNAVAILABLE', cause, UNREACHABLE);
    }
  }

  private refusal(
    code: IdempotencyErrorCode,
    cause: unknown,
    detail?: string,
  ): IdempotencyException {
    const { problemBaseUrl } = this.options;
    return new IdempotencyException(code, { cause, problemBaseUrl, detail });
  }

  private identify({ scope, key, principal }: OperationRef): {
    id: string;
    key: string;
    principal: string | undefined;
  } {
    if (typeof scope !== 'string' || scope === '') {
      throw wrongOption(
        'scope',
        scope,
        'a string that is not empty',
        'Name the kind of operation, such as `invoice`.',
      );
    }
    const resolved = directKey(key);
    const caller = directPrincipal(principal);
    return { id: recordId(scope, caller, resolved), key: resolved, principal: caller };
  }
}

function scopeIn(ref: RecordRef): string | undefined {
  return 'id' in ref ? undefined : ref.scope;
}
