import { isSafe } from './content.js';
import { type IdempotentFetchOptions, settingsOf } from './options.js';
import { Sender } from './sender.js';

/** What a call may say beside what `fetch` takes. */
export interface IdempotentRequestInit extends RequestInit {
  /**
   * Names what the user wants done, such as `'checkout'`: until there is a final answer, every call
   * with this name and the same content has the same key, also after a reload. Other content is a
   * new intent. Absent: the call is an intent of its own, and only its retries share a key.
   */
  readonly intent?: string;
}

/** A `fetch` whose requests may be sent again: see {@link createIdempotentFetch}. */
export type IdempotentFetch = (
  input: Parameters<typeof fetch>[0],
  init?: IdempotentRequestInit,
) => Promise<Response>;

/**
 * Makes a `fetch` that sends a request again, with the same key, until it is answered. These are no
 * answers: none at all, or part of one; a refusal that says that it may succeed later; 429, 502, 503, 504,
 * and 409 with `Retry-After`; and what `retryOn` says. Every other answer is returned, whatever its
 * status. Safe methods go through as they are; bodies are read whole. A key that a request already
 * has in its header is sent as it is.
 *
 * Calls of one intent with the same content at the same time are one: each gets the answer.
 *
 * A call rejects with the reason of its `signal`, or with an {@link IdempotentFetchError} when the
 * time is up. The key of a named intent is kept then, and after an answer of 408, 429, 5xx or
 * `IDEMPOTENCY_OUTCOME_UNKNOWN`: the next call goes on with it.
 *
 * @throws TypeError when an option is not a number greater than zero
 * @example
 * const send = createIdempotentFetch();
 * await send('/orders', { method: 'POST', body, intent: 'checkout' });
 */
export function createIdempotentFetch(options: IdempotentFetchOptions = {}): IdempotentFetch {
  const settings = settingsOf(options);
  const sender = new Sender(settings);
  return async (input, { intent, ...init } = {}) => {
    if (isSafe(input, init)) return settings.fetch(input, init);
    if (intent !== undefined) return sender.sendShared(input, init, intent);
    return (await sender.send(input, init, {})).response;
  };
}
