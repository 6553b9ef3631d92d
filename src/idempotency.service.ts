import { Inject, Injectable } from '@nestjs/common';
import type { Observable } from 'rxjs';
import { wrongOption } from './engine/configuration-error.js';
import { type Duration, parseDuration } from './engine/duration.js';
import type { CircuitChange } from './engine/circuit.js';
import type { IdempotencyEvent } from './engine/events.js';
import { IdempotencyEngine } from './engine/engine.js';
import { newOwner } from './engine/owned-record.js';
import type { IdempotencyErrorCode } from './engine/refusals.js';
import type { StoreCall, StoreCallName } from './engine/store-calls.js';
import type { TransactionalStore } from './engine/transaction.js';
import type { Awaitable, IdempotencyStore, RecordState, RecordView } from './engine/store.js';
import { ValueOperations } from './calls/value-operations.js';
import { type DirectCall } from './calls/value-call.js';
import { Coverage, type CoverageEntry } from './handlers/coverage.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { HandlerResolver } from './handlers/handler-resolver.js';
import { handlerRuns } from './operation/handler-run.js';
import type { IdempotentOperation } from './operation/idempotent-operation.js';
import type { RecoveredReply } from './operation/recovery.js';
import { encodeRecoveredHttpReply, encodeRecoveredValue } from './calls/recovery-call.js';
import { IdempotencyException } from './operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from './options/module-definition.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  type IdempotentOptions,
} from './options/idempotency.options.js';
import type { Identifier } from './keys/call.js';
import { contentFingerprint } from './keys/fingerprint.js';
import { directKey, type DirectKey } from './keys/key-part.js';
import { directPrincipal } from './keys/principal.js';
import { recordId } from './keys/record-id.js';
import type { Reply } from './replies/reply.js';
import { IdempotencyEvents } from './observability/idempotency-events.js';

/** Names one operation. */
export interface OperationRef {
  /** Namespace of the key: a handler's `METHOD /route/template`, or any name that you choose. */
  readonly scope: string;
  /** The key, or its parts. */
  readonly key: DirectKey;
  /** Who is calling; absent for an anonymous caller. */
  readonly principal?: Identifier;
}

/** Names one operation for operators. */
export interface RecordRef extends OperationRef {
  /**
   * The store's data source that has the record, one of its `sources`. If absent, the record is
   * looked for in the store's own and then in all others; found in two, it is an error.
   */
  readonly source?: string;
}

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
      | 'returns'
    > {
  /**
   * How long a finished operation is answered from its record.
   * @default '24h'
   */
  readonly ttl?: Duration;
  /** What a retry must repeat, as a JSON-like value; absent compares nothing. */
  readonly content?: unknown;
}

/** An operation as operators see it. */
export interface OperationView {
  readonly state: RecordState;
  readonly attempt: number;
  readonly fencingToken: number;
  /** Names of the steps that have finished. */
  readonly steps: readonly string[];
  /** Why it is held. */
  readonly reason: string | undefined;
  /** Milliseconds until the current owner's lease ends; zero or less once it has expired. */
  readonly leaseRemainingMs: number | undefined;
  /** Milliseconds until the record is forgotten; `undefined` if it is kept until it is settled. */
  readonly ttlRemainingMs: number | undefined;
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
  /** The record that this process writes in `checkStore()`. */
  private readonly probeId = recordId('nestjs-idempotency:check', undefined, newOwner());

  constructor(
    private readonly engine: IdempotencyEngine,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
    private readonly operations: ValueOperations,
    private readonly resolver: HandlerResolver,
    private readonly handlers: HandlerRegistry,
    private readonly covered: Coverage,
    events: IdempotencyEvents,
  ) {
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
      policy,
      transaction,
      onError: onError ?? defaults?.onError,
      onAbandoned: onAbandoned ?? defaults?.onAbandoned,
    };
    return this.operations.run(call, fn);
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
    const { record } = await this.look(ref);
    return record && view(record);
  }

  /**
   * How the operation ended: the value or error of code, a method or a message, what was sent over
   * HTTP, or the tombstone of a reply that was not kept. `undefined` if no end is on record.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE` too
   */
  async reply(ref: RecordRef): Promise<Reply | undefined> {
    const { record } = await this.look(ref);
    if (record?.state !== 'completed') return undefined;
    const { unreadable: cause, reply } = record;
    if (cause !== undefined) throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE', cause);
    return reply && this.operations.read(reply);
  }

  /**
   * Deletes the record, so that the next call runs as if it were the first. `false` if there is
   * nothing to delete, or if an owner is running.
   */
  async forget(ref: RecordRef): Promise<boolean> {
    const { id } = this.identify(ref);
    const place = this.hasSources ? (await this.look(ref)).place : undefined;
    return this.orRefuse(() => this.engine.forget(id, place));
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
   * Settles an operation that is held. `'release'` lets the next call run as another attempt; a
   * reply ({@link recoveredReply}) is recorded and replayed. `false` if it is not held.
   */
  async settle(ref: RecordRef, decision: 'release' | RecoveredReply): Promise<boolean> {
    const { id } = this.identify(ref);
    const { place, record } = await this.look(ref);
    if (record?.state !== 'held') return false;
    const claim = { id, owner: record.owner, from: 'held' as const };
    const ttlMs = parseDuration('ttl', this.options.defaults?.ttl ?? DEFAULTS.ttl);
    if (decision === 'release')
      return this.ask('release', () => place.release({ ...claim, ttlMs }));
    const isHttp = decision.status !== undefined || this.handlers.hasScope('http', ref.scope);
    const values = this.handlers.valuesOf(ref.scope) ?? this.operations.values;
    const reply = isHttp
      ? encodeRecoveredHttpReply(decision, values)
      : encodeRecoveredValue(decision, values);
    return this.ask('complete', () => place.complete({ ...claim, reply, ttlMs }));
  }

  private get hasSources(): boolean {
    const { sources } = this.engine.calls.store as Partial<TransactionalStore>;
    return sources !== undefined && sources.length > 0;
  }

  /** The record, and the store that has it; the store's own if there is none. */
  private async look(ref: RecordRef): Promise<Found> {
    const { id } = this.identify(ref);
    const own = this.engine.calls.store as IdempotencyStore & Partial<TransactionalStore>;
    const { source } = ref;
    const names = source === undefined ? [undefined, ...(own.sources ?? [])] : [source];
    const places: [string | undefined, IdempotencyStore][] = [];
    for (const name of names) {
      if (name !== undefined && own.recordsOf === undefined)
        throw wrongOption(
          'source',
          source,
          'nothing with a store that has no further data sources',
        );
      places.push([name, name === undefined ? own : await own.recordsOf!(name)]);
    }
    const found: Found[] = [];
    for (const [name, place] of places) {
      const record = await this.ask('find', () => place.find(id));
      if (record !== undefined) found.push({ place, record, name });
    }
    if (found.length > 1) {
      const where = found.map(({ name }) => name ?? "the store's own").join(', ');
      throw wrongOption(
        'source',
        source,
        `the name of a data source, because several have this record: ${where}`,
        'Name the one that you mean.',
      );
    }
    return found[0] ?? { place: places[0]![1], record: undefined };
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
      throw this.refusal('IDEMPOTENCY_STORE_UNAVAILABLE', cause);
    }
  }

  private refusal(code: IdempotencyErrorCode, cause: unknown): IdempotencyException {
    const { problemBaseUrl } = this.options;
    return new IdempotencyException(code, { cause, problemBaseUrl });
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

/** Where a record is. */
interface Found {
  readonly place: IdempotencyStore;
  readonly record: RecordView | undefined;
  readonly name?: string | undefined;
}

function view(record: RecordView): OperationView {
  const { state, attempt, fencingToken, reason, leaseRemainingMs, ttlRemainingMs } = record;
  return {
    state,
    attempt,
    fencingToken,
    steps: [...record.steps.keys()],
    reason,
    leaseRemainingMs,
    ttlRemainingMs,
  };
}
