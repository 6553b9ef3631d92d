/** What came of one request. @internal */
type Attempt =
  | { readonly response: Response; readonly problem: Problem | undefined }
  | { readonly response?: undefined; readonly error: unknown };

/** The members of problem details (RFC 9457) that count here. @internal */
export interface Problem {
  readonly code?: string;
  readonly retryable?: boolean;
}

/**
 * Sends one request. An answer is one when all of it has arrived: a connection that is cut in the
 * middle of a body lost the reply as well.
 *
 * @internal
 * @throws the reason of the signal of the request, when it is aborted
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
    return { response, problem: problemOf(response, bytes) };
  } catch (error) {
    signal.throwIfAborted();
    return { error };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

function problemOf({ headers }: Response, bytes: ArrayBuffer): Problem | undefined {
  if (!/^application\/problem\+json\b/i.test(headers.get('Content-Type') ?? '')) return undefined;
  try {
    return (JSON.parse(new TextDecoder().decode(bytes)) as Problem | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** What `Retry-After` asks for, in milliseconds; 0 without it. @internal */
export function retryAfterMs(response: Response | undefined): number {
  const text = response?.headers.get('Retry-After') ?? '';
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return waitMs > 0 ? waitMs : 0;
}

/**
 * Waits; in a browser that was offline, no longer than until it is online again.
 *
 * @internal
 * @throws the reason of the signal, when it is aborted
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
