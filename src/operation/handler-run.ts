import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { isObservable, Observable, ReplaySubject, type Subscription } from 'rxjs';
import { isPending } from '../engine/awaitable.js';
import type { Claim } from '../engine/claim.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { shared } from './shared.js';

/** A method of an object. */
export interface MethodPlace {
  readonly instance: unknown;
  readonly name: string | symbol;
  /** Which version of it: what `@Idempotent()` has made. */
  readonly method: unknown;
}

/**
 * What a handler does for an operation, from its first line to its end. It is done once, however many
 * ways through the interceptors lead to it, and whoever has stopped listening.
 */
class HandlerWork {
  hasStarted = false;
  hasEnded = false;
  /** The handler has returned an observable. */
  isObserved = false;
  /** The handler's observable has emitted a value, so that its reply can be there before its end. */
  hasEmitted = false;
  failure: { readonly error: unknown } | undefined;
  private outcome: { readonly returned: unknown } | undefined;
  private readonly whenEnded: (() => void)[] = [];

  constructor(private readonly claim: Claim | undefined) {}

  /**
   * Calls the handler, or gives what it has returned to who came first.
   *
   * @param mayRepeat a handler that has failed may be called again: whoever stands right around it tries
   *   again, within the same attempt
   */
  do(call: () => unknown, mayRepeat: boolean): unknown {
    const repeats = mayRepeat && this.failure !== undefined;
    if (this.hasStarted && !repeats) return this.joined();
    // The reply has left already, without this call: it must not run without a claim.
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
    this.outcome = undefined;
  }

  private joined(): unknown {
    if (this.outcome === undefined) throw this.failure?.error;
    return this.outcome.returned;
  }

  /** Called back now if it has ended, and at its end if it is called again. */
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
   * The handler goes on until its observable has ended. It is subscribed here, and only here: a
   * time-out or a client that leaves would call it off, but not the work behind it.
   */
  private observed(source: Observable<unknown>): Observable<unknown> {
    const relay = new ReplaySubject<unknown>();
    this.isObserved = true;
    source.subscribe({
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
    return relay.asObservable();
  }

  private end(failure?: HandlerWork['failure']): void {
    this.hasEnded = true;
    this.failure = failure;
    for (const listener of this.whenEnded) listener();
  }
}

/**
 * One way to the handler, and what becomes of it there. Knows whether the handler's first line was
 * reached, and whether it has come to its end. Within the handler another one is current.
 */
export class HandlerRun {
  /** On this way; the work may have been begun on another. */
  private isReached = false;

  constructor(
    readonly handler: unknown,
    readonly operation: IdempotentOperation,
    private readonly claim: Claim | undefined,
    /** The run that this one was begun in. */
    private readonly outer?: HandlerRun,
    private readonly work = new HandlerWork(claim),
    /** Where the handler is at work; absent on the way there. */
    private readonly place?: MethodPlace,
  ) {}

  /** Another way to the same work, for interceptors that go on twice. */
  again(): HandlerRun {
    return new HandlerRun(this.handler, this.operation, this.claim, this.outer, this.work);
  }

  /** The handler was called: whatever failed before is none of the operation's doing. */
  get hasStarted(): boolean {
    return this.work.hasStarted;
  }

  get hasEnded(): boolean {
    return this.work.hasEnded;
  }

  /** Frameworks stop listening to an observable when its client leaves, and answer nothing. */
  get isObserved(): boolean {
    return this.work.isObserved;
  }

  /** The handler is at work, and whatever answers now is not its reply. */
  get isSilent(): boolean {
    const { hasStarted, hasEnded, hasEmitted } = this.work;
    return hasStarted && !hasEnded && !hasEmitted;
  }

  /** What the handler ended with, if that was an error. */
  get failure(): { readonly error: unknown } | undefined {
    return this.work.failure;
  }

  /** True for the handler's own code, and for what leads there. */
  get isCurrent(): boolean {
    return handlerRuns.getStore()?.work === this.work;
  }

  /** True between the interceptor and the handler. */
  get isOnItsWay(): boolean {
    const current = handlerRuns.getStore();
    return current?.work === this.work && current.place === undefined;
  }

  /**
   * True while it is the run of the operation with this record, or is a part of it. Timers and listeners
   * that were begun in a run may outlive it: what they call is not part of it.
   */
  isPartOf(id: string): boolean {
    return (this.claim?.id === id && !this.hasEnded) || this.outer?.isPartOf(id) === true;
  }

  /** True while an operation owns what is done here. */
  get isProtected(): boolean {
    return (this.claim?.isRunning === true && !this.hasEnded) || this.outer?.isProtected === true;
  }

  /**
   * True for another version of the method that is running, of the same object: an overridden one
   * that is called by `super`, or the next layer of `@Idempotent()`.
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

  /** The run itself, or the nearest around it, whose operation has not come to its end. */
  get alive(): HandlerRun | undefined {
    const isAlive = !this.hasEnded || this.claim?.isRunning !== false;
    return isAlive ? this : this.outer?.alive;
  }

  /** True for the call that this run is about. What the handler calls itself is something else. */
  expects(handler: unknown): boolean {
    return this.handler === handler && this.place === undefined;
  }

  /**
   * Calls the handler and follows it to its end, whoever listens. Interceptors right around it may come
   * twice: the second call gets what the first one ends with, or runs when that has failed.
   */
  follow(call: () => unknown, at: Omit<MethodPlace, 'method'>): unknown {
    const { handler, operation, claim, outer, isReached } = this;
    this.isReached = true;
    // Without a claim there is nothing that a second call could share.
    const work = isReached && claim === undefined ? new HandlerWork(claim) : this.work;
    const within = new HandlerRun(handler, operation, claim, outer, work, {
      ...at,
      method: handler,
    });
    return handlerRuns.run(within, () => work.do(call, isReached));
  }

  /**
   * Does what leads to the handler within this run, also where interceptors go on only when they are
   * subscribed to, or later. Whoever listens is told outside of it.
   */
  lead(on: () => Observable<unknown>): Observable<unknown> {
    const { claim } = this;
    return new Observable((subscriber) => {
      const outside = new AsyncResource('IdempotencyInterceptor');
      const listener = {
        next: (value: unknown) => outside.runInAsyncScope(() => subscriber.next(value)),
        error: (error: unknown) => outside.runInAsyncScope(() => subscriber.error(error)),
        complete: () => outside.runInAsyncScope(() => subscriber.complete()),
      };
      const begin = (): Subscription => handlerRuns.run(this, () => on().subscribe(listener));
      return claim === undefined ? begin() : claim.run(begin);
    });
  }

  /** Calls back when the handler has ended; more than once if it is called again. */
  onEnd(listener: () => void): void {
    this.work.onEnd(listener);
  }
}

/** The run that the present code is part of. */
export const handlerRuns = shared('handler-run', () => new AsyncLocalStorage<HandlerRun>());

/** Set where a test calls what carries `@Idempotent()` as if it did not. */
export const bypass = shared('bypass', () => new AsyncLocalStorage<true>());
