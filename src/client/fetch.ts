import { isSafe } from './content.js';
import { type IdempotentFetchOptions, settingsOf } from './options.js';
import { Sender } from './sender.js';

/** The options of one call, in addition to those of `fetch`. */
export interface IdempotentRequestInit extends RequestInit {
  /**
   * Names what the user wants to do, such as `'checkout'`. Until there is a final answer, every call
   * with this name and the same content sends the same key, even after a reload. Different content is
   * a new intent. If absent, each call is an intent of its own, and only its retries share a key.
   */
  readonly intent?: string;
}

/** A `fetch` that is safe to retry. See {@link createIdempotentFetch}. */
export type IdempotentFetch = (
  input: Parameters<typeof fetch>[0],
  init?: IdempotentRequestInit,
) => Promise<Response>;

/**
 * Creates a `fetch` that sends a request again, with the same key, until it gets a final answer. It
 * retries when the answer is missing or incomplete; when a refusal says that a retry may succeed; after 429,
 * 502, 503, 504, and 409 with `Retry-After`; and when `retryOn` says so. It returns every other answer,
 * whatever its status. Safe methods are sent unchanged. Request bodies are read into memory. If a
 * request already has a key in its header, that key is used.
 *
 * Concurrent calls with the same intent and content send one request, and each gets its answer.
 *
 * A call rejects with the reason of its `signal`, or with an {@link IdempotentFetchError} when its
 * time is up. A named intent then keeps its key, so that the next call continues with it. It also keeps it
 * after an answer of 408, 429, 5xx or `IDEMPOTENCY_OUTCOME_UNKNOWN`.
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
