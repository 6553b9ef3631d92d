/** A value, or a promise of one. Stores that work in memory answer at once. */
export type Awaitable<T> = T | PromiseLike<T>;

/** True for everything that has to be awaited. */
export function isPending<T>(value: Awaitable<T>): value is PromiseLike<T> {
  return (
    value !== null &&
    typeof value === 'object' &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Continues at once with a value, and later with a promise. */
export function chain<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return isPending(value) ? Promise.resolve(value).then(next) : next(value);
}

/** A failure as a value, for code that decides what it means. */
export class Failure {
  constructor(readonly cause: unknown) {}
}

/** What `run` returns, or how it failed; without a promise if `run` needs none. */
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
