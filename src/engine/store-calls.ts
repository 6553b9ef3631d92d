import { attempt, type Awaitable, chain, Failure, isPending } from './awaitable.js';
import { Circuit, type CircuitChange, type CircuitOptions } from './circuit.js';
import type { Clock } from './clock.js';
import {
  type AcquireRequest,
  type AcquireResult,
  type IdempotencyStore,
  isStoreFull,
  type StorePart,
} from './store.js';

/** The store threw, or did not answer in time. It may have written all the same. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** The store has failed so often that it was not asked. Nothing was written. */
export class StoreNotAskedError extends StoreUnavailableError {}

/** What a store can be asked for: its verbs, and the ends of transactions. */
export type StoreCallName =
  | 'acquire'
  | 'extend'
  | 'complete'
  | 'release'
  | 'hold'
  | 'saveStep'
  | 'issue'
  | 'find'
  | 'forget'
  | 'list'
  | 'begin'
  | 'commit'
  | 'rollback';

/** One finished call of the store. */
export interface StoreCall {
  readonly verb: StoreCallName;
  /** How long it took, in milliseconds. If it did not answer in time, until it was given up. */
  readonly durationMs: number;
  /** The store threw, or did not answer in time. */
  readonly hasFailed: boolean;
}

/** Receives every call of the store. Must not throw. */
export interface StoreCallSink {
  /** False while nobody listens. Then nothing is measured. */
  readonly hasStoreListeners: boolean;
  emitStoreCall(call: StoreCall): void;
  emitCircuit(change: CircuitChange): void;
}

interface CallOptions<T> {
  /** How long the answer is of use, in milliseconds; at most the timeout. */
  readonly withinMs?: number;
  /** How long the store itself may wait, in addition to the timeout, in milliseconds. */
  readonly waitMs?: number;
  /** Called with an answer that came too late. */
  readonly whenLate?: (answer: T) => void;
}

/** Reads nothing that exists: no record has this id. */
const PROBE_ID = '0'.repeat(64);

/** Limits how long every call of the store may take, and turns every failure into one error. */
export class StoreCalls {
  /**
   * The highest fencing token that this process has got from the store. Later ones must exceed it.
   */
  private tokens = { greatest: 0 };
  /** Shared with the calls to other stores. */
  private life = { isOver: false };
  private readonly circuit: Circuit | undefined;
  /** Of a store that is made of parts, which fail each by itself. */
  private readonly circuits: Map<StorePart, Circuit> | undefined;

  /** @param circuitOptions absent: every call asks the store, however often it has failed */
  constructor(
    readonly store: IdempotencyStore,
    private readonly clock: Clock,
    /** In milliseconds. */
    readonly timeoutMs: number,
    private readonly sink?: StoreCallSink,
    private readonly circuitOptions?: CircuitOptions,
  ) {
    // Outside of a call, nobody could say which of its places to probe. Each place has its own calls.
    if (circuitOptions === undefined || store.ofCall !== undefined) return;
    if (store.partOf === undefined) this.circuit = this.newCircuit(circuitOptions, undefined);
    else this.circuits = new Map();
  }

  /** The same calls to another store, or to the same one over another connection. */
  to(store: IdempotencyStore): StoreCalls {
    const { clock, timeoutMs, sink, circuitOptions } = this;
    const calls = new StoreCalls(store, clock, timeoutMs, sink, circuitOptions);
    calls.life = this.life;
    if (store === this.store) calls.tokens = this.tokens;
    return calls;
  }

  /** Nothing more is asked of the store by itself. */
  stop(): void {
    this.life.isOver = true;
  }

  /**
   * Asks for a record. The claim's token is higher than any that this process has seen.
   *
   * @throws {@link StoreNotAskedError} too, where it opens the circuit
   */
  acquire(
    request: Omit<AcquireRequest, 'aboveToken'>,
    options: CallOptions<AcquireResult> = {},
    acquirer?: { acquire(request: AcquireRequest): Awaitable<AcquireResult> },
  ): Awaitable<AcquireResult> {
    const { tokens } = this;
    const asked = { ...request, aboveToken: tokens.greatest };
    const ask = (store: IdempotencyStore): Awaitable<AcquireResult> =>
      (acquirer ?? store).acquire(asked);
    // In a transaction, what fails may be the transaction. Its connection was asked for before.
    const answer =
      acquirer === undefined
        ? this.begin('acquire', request.id, ask, options)
        : this.call('acquire', ask, options);
    return chain(answer, (result) => {
      if (result.outcome === 'acquired' && result.fencingToken > tokens.greatest)
        tokens.greatest = result.fencingToken;
      return result;
    });
  }

  /**
   * Runs a verb with which something new begins: not while the store keeps failing.
   *
   * @throws {@link StoreNotAskedError}, {@link StoreUnavailableError}
   */
  begin<T>(
    verb: StoreCallName,
    id: string,
    run: (store: IdempotencyStore) => Awaitable<T>,
    options: CallOptions<T> = {},
  ): Awaitable<T> {
    const circuit = this.circuit ?? this.circuitOf(id);
    if (circuit === undefined) return this.call(verb, run, options);
    if (!circuit.admits())
      throw new StoreNotAskedError('The idempotency store keeps failing, so it was not asked.');
    return this.call(verb, run, options, circuit, id);
  }

  /**
   * Runs one verb. If the store answers at once, no promise slows it down.
   *
   * @param circuit learns how the call went
   * @param id of the record, for the circuit
   * @throws {@link StoreUnavailableError}
   */
  call<T>(
    verb: StoreCallName,
    run: (store: IdempotencyStore) => Awaitable<T>,
    options: CallOptions<T> = {},
    circuit?: Circuit,
    id = '',
  ): Awaitable<T> {
    return this.sink?.hasStoreListeners === true
      ? this.measured(verb, this.sink, () => this.answer(run, options, circuit, id))
      : this.answer(run, options, circuit, id);
  }

  private measured<T>(
    verb: StoreCallName,
    sink: StoreCallSink,
    ask: () => Awaitable<T>,
  ): Awaitable<T> {
    const startedAtMs = this.clock.now();
    const ended = (hasFailed: boolean): void =>
      sink.emitStoreCall({ verb, durationMs: this.clock.now() - startedAtMs, hasFailed });
    return chain(attempt(ask), (answer) => {
      ended(answer instanceof Failure);
      if (answer instanceof Failure) throw answer.cause;
      return answer;
    });
  }

  private answer<T>(
    run: (store: IdempotencyStore) => Awaitable<T>,
    options: CallOptions<T>,
    circuit: Circuit | undefined,
    id: string,
  ): Awaitable<T> {
    let answer: Awaitable<T>;
    try {
      answer = run(this.store);
    } catch (cause) {
      failed(circuit, id, cause);
      throw new StoreUnavailableError('The idempotency store failed.', { cause });
    }
    if (isPending(answer)) return this.bounded(answer, options, circuit, id);
    circuit?.succeeded();
    return answer;
  }

  private bounded<T>(
    answer: PromiseLike<T>,
    { withinMs = this.timeoutMs, waitMs = 0, whenLate }: CallOptions<T>,
    circuit?: Circuit,
    id = '',
  ): Promise<T> {
    const timeoutMs = Math.min(withinMs, this.timeoutMs) + waitMs;
    return new Promise<T>((resolve, reject) => {
      let late = false;
      const cancel = this.clock.after(timeoutMs, () => {
        late = true;
        const cause = new StoreUnavailableError(
          `The idempotency store did not answer within ${timeoutMs} ms.`,
        );
        circuit?.failed(id, cause);
        reject(cause);
      });
      answer.then(
        (value) => {
          if (late) return whenLate?.(value);
          cancel();
          circuit?.succeeded();
          resolve(value);
        },
        (cause: unknown) => {
          if (!late) failed(circuit, id, cause);
          cancel();
          reject(new StoreUnavailableError('The idempotency store failed.', { cause }));
        },
      );
    });
  }

  private circuitOf(id: string): Circuit | undefined {
    const { circuits, circuitOptions } = this;
    if (circuits === undefined || circuitOptions === undefined) return undefined;
    const part = this.store.partOf!(id);
    let circuit = circuits.get(part);
    if (circuit === undefined) {
      circuit = this.newCircuit(circuitOptions, part);
      circuits.set(part, circuit);
    }
    return circuit;
  }

  private newCircuit(options: CircuitOptions, part: StorePart | undefined): Circuit {
    const { store } = part ?? this;
    return new Circuit(options, this.clock, {
      part: part?.name,
      isOver: () => this.life.isOver,
      probe: () => this.bounded(Promise.resolve(store.find(PROBE_ID)), {}),
      changed: (change) => this.sink?.emitCircuit(change),
    });
  }
}

/** A store that has no room does answer, and duplicates get their replies from it. */
function failed(circuit: Circuit | undefined, id: string, cause: unknown): void {
  if (circuit === undefined) return;
  if (isStoreFull(cause)) circuit.succeeded();
  else circuit.failed(id, cause);
}
