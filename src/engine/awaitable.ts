/** A value, or a promise of it. Stores that work in memory answer at once. */
export type Awaitable<T> = T | PromiseLike<T>;

/** True for everything that has to be awaited. */
export function isPending<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return (
    value !== null &&
    typeof value === 'object' &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Goes on at once with a value that is there, later with one that is not. */
export function chain<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPending(value) ? Promise.resolve(value).then(next) : next(value);
}

/** A failure as a value, where it has to be decided what it means. */
export class Failure {
  constructor(readonly cause: unknown) {}
}

/** What `run` answers, or how it failed; at once where it does so at once. */
export function attempt<T>(run: () => Awaitable<T>): Awaitable<T | Failure> {
  try {
    const value = run();
    return isPending(value)
      ? Promise.resolve(value).catch((cause: unknown) => new Failure(cause))
      : value;
  } catch (cause) {
    return new Failure(cause);
  }
}
