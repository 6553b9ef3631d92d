import { attempt, type Awaitable, chain, Failure, isPending } from './awaitable.js';
import type { Clock } from './clock.js';
import type { AcquireRequest, AcquireResult, IdempotencyStore } from './store.js';

/** The store threw, or did not answer in time. Whether it has written is not known. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** What the store is asked for: its verbs, and the ends of transactions. */
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

/** One call of the store that has come to its end. */
export interface StoreCall {
  readonly verb: StoreCallName;
  /** How long it took, in milliseconds; until it was given up, where it did not answer in time. */
  readonly durationMs: number;
  /** The store threw, or did not answer in time. */
  readonly hasFailed: boolean;
}

/** Told of every call of the store. Must not throw. */
export interface StoreCallSink {
  /** False while nobody listens: nothing is measured then. */
  readonly hasStoreListeners: boolean;
  emitStoreCall(call: StoreCall): void;
}

interface CallOptions<T> {
  /** After this the answer is of no use any more, in milliseconds; at most the time-out. */
  readonly withinMs?: number;
  /** How long the store was asked to wait itself, on top of the time-out, in milliseconds. */
  readonly waitMs?: number;
  /** Told the answer that came after all. */
  readonly whenLate?: (answer: T) => void;
}

/** Bounds every call of the store in time, and turns every failure into one error. */
export class StoreCalls {
  /** The greatest fencing token that the store has handed out here: those to come have to exceed it. */
  private greatestToken = 0;

  constructor(
    readonly store: IdempotencyStore,
    private readonly clock: Clock,
    /** In milliseconds. */
    readonly timeoutMs: number,
    private readonly sink?: StoreCallSink,
  ) {}

  /** Asks for a record; the token of the claim is greater than any that this process has seen. */
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
   * Runs one verb. A store that answers at once is not slowed down by a promise.
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
