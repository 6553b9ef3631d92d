import { AsyncLocalStorage } from 'node:async_hooks';
import { isObservable, type Observable } from 'rxjs';
import { finalize, tap } from 'rxjs/operators';
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
 * One run of a handler, from the claim on. Knows whether the handler's first line was reached,
 * whether it has come to its end, and whether anyone still listens to it.
 */
export class HandlerRun {
  /** The handler was called: whatever failed before is none of the operation's doing. */
  hasStarted = false;
  hasEnded = false;
  /** What the handler ended with, if that was an error. */
  failure: { readonly error: unknown } | undefined;
  /** Somebody stopped listening, such as a time-out, while the handler went on. */
  isDetached = false;
  private whenEnded: (() => void) | undefined;
  private place: MethodPlace | undefined;

  constructor(
    readonly handler: unknown,
    readonly operation: IdempotentOperation,
    private readonly claim: Claim | undefined,
    /** The run that this one was begun in. */
    private readonly outer?: HandlerRun,
  ) {}

  /** True while it is the run of the operation with this record, or is a part of it. */
  isPartOf(id: string): boolean {
    return (
      (this.claim?.id === id && !this.hasEnded && this.claim.isRunning) ||
      this.outer?.isPartOf(id) === true
    );
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

  /** True for the call that this run is about, once. Direct and nested calls are others. */
  expects(handler: unknown): boolean {
    return this.handler === handler && !this.hasStarted;
  }

  /** Calls the handler and follows it to its end, whoever listens. */
  follow(call: () => unknown, place?: Omit<MethodPlace, 'method'>): unknown {
    // The reply has left already, without this call: it must not run without a claim.
    if (this.claim?.isRunning === false) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    this.hasStarted = true;
    this.place = place && { ...place, method: this.handler };
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      this.end({ error });
      throw error;
    }
    if (!isPending(result)) return this.returned(result);
    return Promise.resolve(result).then(
      (value) => this.returned(value),
      (error: unknown) => {
        this.end({ error });
        throw error;
      },
    );
  }

  /** Calls back when the handler ends; one listener is enough. */
  onEnd(listener: () => void): void {
    this.whenEnded = listener;
  }

  private returned(value: unknown): unknown {
    // Nobody subscribes any more to what a detached handler returns.
    if (isObservable(value) && !this.isDetached) return this.observed(value);
    this.end();
    return value;
  }

  /** The handler goes on until its observable has ended, or nobody wants more of it. */
  private observed(source: Observable<unknown>): Observable<unknown> {
    let hasAnswered = false;
    const answered = (): void => void (hasAnswered = true);
    let failure: HandlerRun['failure'];
    return source.pipe(
      tap({ next: answered, complete: answered, error: (error) => (failure = { error }) }),
      finalize(() => this.end(failure ?? (hasAnswered ? undefined : CANCELLED))),
    );
  }

  private end(failure?: HandlerRun['failure']): void {
    this.hasEnded = true;
    this.failure = failure;
    this.whenEnded?.();
  }
}

/** Unsubscribed before it had anything to say: its work was called off. */
const CANCELLED = { error: new Error('The observable of the handler was unsubscribed.') };

/** The run that the present code is part of. */
export const handlerRuns = shared('handler-run', () => new AsyncLocalStorage<HandlerRun>());

/** Set where a test calls what carries `@Idempotent()` as if it did not. */
export const bypass = shared('bypass', () => new AsyncLocalStorage<true>());
