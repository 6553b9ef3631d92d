import { attempt, type Awaitable, chain, Failure, isPending } from './awaitable.js';
import type { Clock } from './clock.js';
import type { AcquireRequest, AcquireResult, IdempotencyStore } from './store.js';

/** The store threw, or did not answer in time. It may have written all the same. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

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
}

interface CallOptions<T> {
  /** How long the answer is of use, in milliseconds; at most the timeout. */
  readonly withinMs?: number;
  /** How long the store itself may wait, in addition to the timeout, in milliseconds. */
  readonly waitMs?: number;
  /** Called with an answer that came too late. */
  readonly whenLate?: (answer: T) => void;
}

/** Limits how long every call of the store may take, and turns every failure into one error. */
export class StoreCalls {
  /**
   * The highest fencing token that this process has got from the store. Later ones must exceed it.
   */
  private greatestToken = 0;

  constructor(
    readonly store: IdempotencyStore,
    private readonly clock: Clock,
    /** In milliseconds. */
    readonly timeoutMs: number,
    private readonly sink?: StoreCallSink,
  ) {}

  /** The same calls to another store. */
  to(store: IdempotencyStore): StoreCalls {
    return store === this.store
      ? this
      : new StoreCalls(store, this.clock, this.timeoutMs, this.sink);
  }

  /** Asks for a record. The claim's token is higher than any that this process has seen. */
  acquire(
    request: Omit<AcquireRequest, 'aboveToken'>,
    options: CallOptions<AcquireResult> = {},
    acquirer?: { acquire(request: AcquireRequest): Awaitable<AcquireResult> },
  ): Awaitable<AcquireResult> {
    const asked = { ...request, aboveToken: this.greatestToken };
    const answer = this.call('acquire', (store) => (acquirer ?? store).acquire(asked), options);
    return chain(answer, (result) => {
      if (result.outcome === 'acquired' && result.fencingToken > this.greatestToken)
        this.greatestToken = result.fencingToken;
      return result;
    });
  }

  /**
   * Runs one verb. If the store answers at once, no promise slows it down.
   *
   * @throws {@link StoreUnavailableError}
   */
  call<T>(
    verb: StoreCallName,
    run: (store: IdempotencyStore) => Awaitable<T>,
    options: CallOptions<T> = {},
  ): Awaitable<T> {
    return this.sink?.hasStoreListeners === true
      ? this.measured(verb, this.sink, () => this.answer(run, options))
      : this.answer(run, options);
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
  ): Awaitable<T> {
    let answer: Awaitable<T>;
    try {
      answer = run(this.store);
    } catch (cause) {
      throw new StoreUnavailableError('The idempotency store failed.', { cause });
    }
    return isPending(answer) ? this.bounded(answer, options) : answer;
  }

  private bounded<T>(
    answer: PromiseLike<T>,
    { withinMs = this.timeoutMs, waitMs = 0, whenLate }: CallOptions<T>,
  ): Promise<T> {
    const timeoutMs = Math.min(withinMs, this.timeoutMs) + waitMs;
    return new Promise<T>((resolve, reject) => {
      let late = false;
      const cancel = this.clock.after(timeoutMs, () => {
        late = true;
        reject(
          new StoreUnavailableError(`The idempotency store did not answer within ${timeoutMs} ms.`),
        );
      });
      answer.then(
        (value) => {
          if (late) return whenLate?.(value);
          cancel();
          resolve(value);
        },
        (cause: unknown) => {
          cancel();
          reject(new StoreUnavailableError('The idempotency store failed.', { cause }));
        },
      );
    });
  }
}
