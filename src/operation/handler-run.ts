import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { isObservable, Observable, ReplaySubject, type Subscriber, type Subscription } from 'rxjs';
import { isPending } from '../engine/awaitable.js';
import type { Claim } from '../engine/claim.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { shared } from './shared.js';

/** A method of an object. */
export interface MethodPlace {
  readonly instance: unknown;
  readonly name: string | symbol;
  /** Which version of it: the function that `@Idempotent()` made. */
  readonly method: unknown;
}

/**
 * A handler's work for an operation, from its first line to its end. It is done once, however many
 * passes through the interceptors reach it, and even if some of them stop listening.
 */
class HandlerWork {
  hasStarted = false;
  hasEnded = false;
  /** The handler returned an observable. */
  isObserved = false;
  /** The handler's observable has emitted a value, so its reply may be ready before it ends. */
  hasEmitted = false;
  failure: { readonly error: unknown } | undefined;
  /** The handler has said, other than by an error, that the work has to be done again. */
  isGivenBack = false;
  private outcome: { readonly returned: unknown } | undefined;
  private readonly whenEnded: (() => void)[] = [];

  /** Lets go of an observable that nobody listens to. */
  stop = (): void => undefined;

  constructor(private readonly claim: Claim | undefined) {}

  /**
   * Calls the handler, or returns what it returned to the first call.
   *
   * @param mayRepeat a handler that failed may be called again, because an interceptor right
   *   around it retries within the same attempt
   */
  do(call: () => unknown, mayRepeat: boolean): unknown {
    const repeats = mayRepeat && this.failure !== undefined;
    if (this.hasStarted && !repeats) return this.joined();
    // The reply was already sent without this call, which must not run without a claim.
    if (this.claim?.isRunning === false) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    this.begin();
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      this.end({ error });
      throw error;
    }
    const returned = isPending(result) ? this.awaited(result) : this.returned(result);
    this.outcome = { returned };
    return returned;
  }

  private begin(): void {
    this.hasStarted = true;
    this.hasEnded = false;
    this.hasEmitted = false;
    this.failure = undefined;
    this.isGivenBack = false;
    this.outcome = undefined;
  }

  private joined(): unknown {
    if (this.outcome === undefined) throw this.failure?.error;
    return this.outcome.returned;
  }

  /** Calls back now if the work has ended, and again at its end if it is repeated. */
  onEnd(listener: () => void): void {
    this.whenEnded.push(listener);
    if (this.hasEnded) listener();
  }

  private awaited(result: PromiseLike<unknown>): Promise<unknown> {
    return Promise.resolve(result).then(
      (value) => this.returned(value),
      (error: unknown) => {
        this.end({ error });
        throw error;
      },
    );
  }

  private returned(value: unknown): unknown {
    if (isObservable(value)) return this.observed(value);
    this.end();
    return value;
  }

  /**
   * The handler runs until its observable ends. Only this code subscribes to it: a timeout, or a
   * client that disconnects, would end the subscription but not the work behind it.
   */
  private observed(source: Observable<unknown>): Observable<unknown> {
    this.isObserved = true;
    if (this.claim === undefined) return this.passedOn(source);
    const relay = new ReplaySubject<unknown>();
    const following = source.subscribe({
      next: (value) => {
        this.hasEmitted = true;
        relay.next(value);
      },
      error: (error: unknown) => {
        this.end({ error });
        relay.error(error);
      },
      complete: () => {
        this.end();
        relay.complete();
      },
    });
    this.stop = () => {
      if (!relay.observed) following.unsubscribe();
    };
    return relay.asObservable();
  }

  /** Without a claim no end is waited for: whoever stops listening ends the subscription. */
  private passedOn(source: Observable<unknown>): Observable<unknown> {
    const begin = AsyncResource.bind((subscriber: Subscriber<unknown>) =>
      source.subscribe(subscriber),
    );
    return new Observable((subscriber) => {
      subscriber.add(() => this.end());
      return begin(subscriber);
    });
  }

  private end(failure?: HandlerWork['failure']): void {
    this.hasEnded = true;
    this.failure = failure;
    for (const listener of this.whenEnded) listener();
  }
}

/**
 * One pass through the interceptors to the handler. It knows whether the handler's first line was
 * reached and whether the handler has ended. Within the handler, another run is current.
 */
export class HandlerRun {
  /** Whether this pass reached the handler. Another pass may have begun the work. */
  private isReached = false;

  constructor(
    readonly handler: unknown,
    readonly operation: IdempotentOperation,
    private readonly claim: Claim | undefined,
    /** The run in which this one began. */
    private readonly outer?: HandlerRun,
    private readonly work = new HandlerWork(claim),
    /** The method that is running; absent until the handler is reached. */
    private readonly place?: MethodPlace,
  ) {}

  /** Another pass to the same work, for interceptors that continue twice. */
  again(): HandlerRun {
    return new HandlerRun(this.handler, this.operation, this.claim, this.outer, this.work);
  }

  /** The handler was called. A failure before that has nothing to do with the operation. */
  get hasStarted(): boolean {
    return this.work.hasStarted;
  }

  get hasEnded(): boolean {
    return this.work.hasEnded;
  }

  /** If the client disconnects, frameworks stop listening to an observable and send nothing. */
  get isObserved(): boolean {
    return this.work.isObserved;
  }

  /** The handler is still running, so whatever answers now is not its reply. */
  get isSilent(): boolean {
    const { hasStarted, hasEnded, hasEmitted } = this.work;
    return hasStarted && !hasEnded && !hasEmitted;
  }

  /** The error with which the handler ended, if it did. */
  get failure(): { readonly error: unknown } | undefined {
    return this.work.failure;
  }

  /** True for a handler that has ended without an error, but wants its work to be done again. */
  get isGivenBack(): boolean {
    return this.work.isGivenBack;
  }

  /** The work has to be done again, as after a failure, and so has the work that it is part of. */
  giveBack(): void {
    this.work.isGivenBack = true;
    if (this.outer?.hasEnded === false) this.outer.giveBack();
  }

  /** True in the handler's own code, and on the way to it. */
  get isCurrent(): boolean {
    return handlerRuns.getStore()?.work === this.work;
  }

  /** True between the interceptor and the handler. */
  get isOnItsWay(): boolean {
    const current = handlerRuns.getStore();
    return current?.work === this.work && current.place === undefined;
  }

  /**
   * True while this is the run of the operation with this record, or part of it. Timers and
   * listeners that were started in a run may outlive it. What they call is not part of it.
   */
  isPartOf(id: string): boolean {
    return (this.claim?.id === id && !this.hasEnded) || this.outer?.isPartOf(id) === true;
  }

  /** True while the current code belongs to an operation. */
  get isProtected(): boolean {
    return (this.claim?.isRunning === true && !this.hasEnded) || this.outer?.isProtected === true;
  }

  /**
   * True for another version of the running method, on the same object: an overridden method that
   * is called with `super`, or the next layer of `@Idempotent()`.
   */
  isWithin(instance: unknown, name: string | symbol, method: unknown): boolean {
    const { place } = this;
    const isHere =
      place !== undefined &&
      !this.hasEnded &&
      place.instance === instance &&
      place.name === name &&
      place.method !== method;
    return isHere || this.outer?.isWithin(instance, name, method) === true;
  }

  /** This run, or the nearest one around it, whose operation has not ended. */
  get alive(): HandlerRun | undefined {
    const isAlive = !this.hasEnded || this.claim?.isRunning !== false;
    return isAlive ? this : this.outer?.alive;
  }

  /** True for the call that this run is about. Calls that the handler makes are separate. */
  expects(handler: unknown): boolean {
    return this.handler === handler && this.place === undefined;
  }

  /**
   * Calls the handler and follows it to its end, whether or not anybody listens. Interceptors right
   * around it may call it twice: the second call gets the result of the first one, or runs if that
   * failed.
   */
  follow(call: () => unknown, at: Omit<MethodPlace, 'method'>): unknown {
    const { handler, operation, claim, outer, isReached } = this;
    this.isReached = true;
    // Without a claim, a second call has nothing to share.
    const work = isReached && claim === undefined ? new HandlerWork(claim) : this.work;
    const within = new HandlerRun(handler, operation, claim, outer, work, {
      ...at,
      method: handler,
    });
    return handlerRuns.run(within, () => work.do(call, isReached));
  }

  /**
   * Runs the interceptors that lead to the handler within this run, even those that continue only
   * when they are subscribed to, or later. Subscribers are notified outside the run.
   *
   * @param around the context of the subscribers; without it, the one in which they subscribe
   */
  lead(on: () => Observable<unknown>, around?: AsyncResource): Observable<unknown> {
    const { claim } = this;
    return new Observable((subscriber) => {
      const outside = around ?? new AsyncResource('IdempotencyInterceptor');
      const listener = {
        next: (value: unknown) => outside.runInAsyncScope(() => subscriber.next(value)),
        error: (error: unknown) => outside.runInAsyncScope(() => subscriber.error(error)),
        complete: () => outside.runInAsyncScope(() => subscriber.complete()),
      };
      const begin = (): Subscription => handlerRuns.run(this, () => on().subscribe(listener));
      return claim === undefined ? begin() : claim.run(begin);
    });
  }

  /**
   * The operation is over. An observable that goes on although nobody listens to it is let go, because
   * it may never end.
   */
  over(): void {
    this.work.stop();
  }

  /** Calls back when the handler has ended, and again each time that it is repeated. */
  onEnd(listener: () => void): void {
    this.work.onEnd(listener);
  }
}

/** The run that the current code is part of. */
export const handlerRuns = shared('handler-run', () => new AsyncLocalStorage<HandlerRun>());

/** Set while a test calls methods with `@Idempotent()` as if they did not have it. */
export const bypass = shared('bypass', () => new AsyncLocalStorage<true>());
