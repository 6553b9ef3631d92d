import { type Subscriber, Subscription } from 'rxjs';
import { type Awaitable, chain } from '../engine/awaitable.js';

/**
 * A call on its way through the interceptor, with everybody who waits for what it ends with: an
 * interceptor further out may subscribe more than once, again after a failure, or stop listening.
 */
export class Passage {
  private readonly listeners = new Set<Subscriber<unknown>>();
  private whenLeft: (() => void) | undefined;
  private isOver = false;
  private givenBack: Promise<void> | undefined;

  /** @param over called when what comes next for this call has to begin anew */
  constructor(
    private readonly answer: (passage: Passage) => Promise<unknown>,
    private readonly over: () => void,
  ) {}

  /** Nobody waits for it any more. */
  get isLeft(): boolean {
    return this.listeners.size === 0;
  }

  /** Calls back, once, when nobody is left. */
  onLeft(listener: () => void): void {
    this.whenLeft = listener;
  }

  /** Nobody waits for it, and its handler has not been reached: whoever still comes begins anew. */
  giveBack(release: () => Awaitable<void>): Promise<void> {
    return (this.givenBack = Promise.resolve(chain(release(), this.over)));
  }

  /** Waits for the end of the call; once it has been given back, comes `again`. */
  listen(subscriber: Subscriber<unknown>, again: () => Subscription): Subscription {
    if (this.givenBack !== undefined) {
      const waiting = new Subscription();
      void this.givenBack.then(() => void (waiting.closed || waiting.add(again())));
      return waiting;
    }
    this.listeners.add(subscriber);
    return new Subscription(() => this.left(subscriber));
  }

  start(): void {
    void this.answer(this).then(
      (value) =>
        this.end((subscriber) => {
          subscriber.next(value);
          subscriber.complete();
        }),
      (error: unknown) => this.end((subscriber) => subscriber.error(error)),
    );
  }

  private left(subscriber: Subscriber<unknown>): void {
    this.listeners.delete(subscriber);
    if (this.isOver || !this.isLeft) return;
    this.whenLeft?.();
  }

  private end(tell: (subscriber: Subscriber<unknown>) => void): void {
    this.isOver = true;
    this.over();
    for (const subscriber of this.listeners) tell(subscriber);
  }
}
