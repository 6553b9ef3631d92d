import type { Channel } from 'node:diagnostics_channel';
import { Observable, type Observer, Subscriber, type Subscription } from 'rxjs';

/** Receives what a subscriber threw or rejected with. Must not throw. */
export type SubscriberFailed = (subscriber: object, error: unknown) => void;

type Next<T> = (value: T) => unknown;

/**
 * Events for subscribers that may fail. RxJS throws a subscriber's error again from a timer, which
 * ends the process; here it is reported instead. So are rejections of an `async` subscriber, and
 * errors in an operator without an `error` handler.
 */
export class IsolatedObservable<T> extends Observable<T> {
  constructor(
    source: Observable<unknown>,
    private readonly failed: SubscriberFailed,
  ) {
    super();
    this.source = source;
  }

  /** Observables that operators derive from these events are isolated too. */
  override lift<R>(operator: NonNullable<Observable<R>['operator']>): Observable<R> {
    const lifted = new IsolatedObservable<R>(this, this.failed);
    lifted.operator = operator;
    return lifted;
  }

  override subscribe(
    given?: Partial<Observer<T>> | Next<T> | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // An operator's own subscriber: it passes events on to one that is itself isolated.
    if (given instanceof Subscriber) return super.subscribe(given);
    const observer: Partial<Observer<T>> =
      typeof given === 'object' && given !== null
        ? given
        : { next: given ?? undefined, error: error ?? undefined, complete: complete ?? undefined };
    const subscriber = typeof given === 'function' ? given : observer;
    const guarded = (run: () => unknown): void => guard(run, this.failed, subscriber);
    return super.subscribe({
      next: (value) => guarded(() => observer.next?.(value)),
      error: (cause: unknown) => {
        if (observer.error) guarded(() => observer.error?.(cause));
        else this.failed(subscriber, cause);
      },
      complete: () => guarded(() => observer.complete?.()),
    });
  }
}

/**
 * Like `channel.publish()`, which throws a subscriber's error again where it ends the process. Node
 * has no public list of subscribers. If the list is not found, Node publishes.
 */
export function publishIsolated(channel: Channel, message: object, failed: SubscriberFailed): void {
  const subscribers: unknown = Reflect.get(channel, '_subscribers');
  if (!Array.isArray(subscribers)) return channel.publish(message);
  for (const subscriber of subscribers as Parameters<Channel['subscribe']>[0][])
    guard(() => subscriber(message, channel.name), failed, subscriber);
}

function guard(run: () => unknown, failed: SubscriberFailed, subscriber: object): void {
  try {
    const answer = run();
    if (isThenable(answer)) answer.then(undefined, (error: unknown) => failed(subscriber, error));
  } catch (error) {
    failed(subscriber, error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function'
  );
}
