import { type Awaitable, isPending } from './awaitable.js';

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
