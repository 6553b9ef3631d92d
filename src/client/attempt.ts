import { type Answer, refusalOf } from './refusal.js';

/** The result of one request. @internal */
type Attempt = Answer | { readonly response?: undefined; readonly error: unknown };

/**
 * Sends one request. An answer only counts once all of it has arrived: if the connection is cut in
 * the middle of a body, the reply is lost too.
 *
 * @internal
 * @throws the reason of the request's signal, if it is aborted
 */
export async function attempt(
  send: typeof fetch,
  request: Request,
  limitMs: number,
): Promise<Attempt> {
  const { signal } = request;
  const ended = new AbortController();
  const abort = (): void => ended.abort(signal.reason);
  const timer = setTimeout(
    () => ended.abort(new DOMException(`No answer in ${limitMs} ms.`, 'TimeoutError')),
    limitMs,
  );
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    const response = await send(request, { signal: ended.signal });
    const bytes = await response.clone().arrayBuffer();
    return { response, refusal: refusalOf(response, bytes) };
  } catch (error) {
    signal.throwIfAborted();
    return { error };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/**
 * Waits. In a browser that was offline, only until it is online again.
 *
 * @internal
 * @throws the reason of the signal, if it is aborted
 */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      globalThis.removeEventListener?.('online', end);
      signal.removeEventListener('abort', end);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(end, delayMs);
    globalThis.addEventListener?.('online', end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
