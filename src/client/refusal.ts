/** What a refusal tells programs. @internal */
export interface Refusal {
  readonly code: string | undefined;
  /** True when the same call, repeated unchanged, may succeed later. */
  readonly isRetryable: boolean;
}

/** An answer, and the refusal that it is, if it is one. @internal */
export interface Answer {
  readonly response: Response;
  readonly refusal: Refusal | undefined;
}

const ERROR_HEADER = 'Idempotency-Error';
const REPLAYED_HEADER = 'Idempotent-Replayed';
const CODE_PREFIX = 'IDEMPOTENCY_';

/** For refusals of which only the code arrives. @internal */
export const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_LIMIT_EXCEEDED',
  'IDEMPOTENCY_RESULT_PENDING',
  'IDEMPOTENCY_STORE_UNAVAILABLE',
]);

/** How deep the code may be nested in a body that a filter of the server has reshaped. */
const DEPTH = 3;

/**
 * Reads the code from its header, or else code and `retryable` from any JSON, because filters,
 * gateways and framework versions may change body and content type.
 *
 * @internal
 */
export function refusalOf(response: Response, bytes: ArrayBuffer): Refusal | undefined {
  if (response.ok) return undefined;
  const said = found(jsonOf(response, bytes), DEPTH);
  const code = response.headers.get(ERROR_HEADER) ?? said?.code;
  if (code === undefined && said?.retryable === undefined) return undefined;
  const isRetryable = said?.retryable ?? (code !== undefined && RETRYABLE_CODES.has(code));
  return { code, isRetryable };
}

interface Said {
  readonly code?: string;
  readonly retryable?: boolean;
}

function jsonOf({ headers }: Response, bytes: ArrayBuffer): unknown {
  if (!/\bjson\b/i.test(headers.get('Content-Type') ?? '')) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * Finds the relevant members: at the top level with any code, deeper only with a code of this
 * library.
 */
function found(body: unknown, depth: number): Said | undefined {
  if (typeof body !== 'object' || body === null || depth === 0) return undefined;
  const { code, retryable } = body as { readonly code?: unknown; readonly retryable?: unknown };
  const isOurs = typeof code === 'string' && code.startsWith(CODE_PREFIX);
  if (isOurs || (depth === DEPTH && typeof retryable === 'boolean'))
    return {
      ...(isOurs && { code }),
      ...(typeof retryable === 'boolean' && { retryable }),
    };
  for (const member of Object.values(body)) {
    const said = found(member, depth - 1);
    if (said !== undefined) return said;
  }
  return undefined;
}

/** Answers of gateways and of overloaded servers. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Whether to send the same request again, with the same key. @internal */
export function asksForAnother({ response, refusal }: Answer): boolean {
  if (refusal !== undefined) return refusal.isRetryable;
  const { status, headers } = response;
  // A recorded reply stays the same, whatever its status.
  if (headers.has(REPLAYED_HEADER)) return false;
  return PASSING.has(status) || (status === 409 && headers.has('Retry-After'));
}

/** Refusals after which nobody knows whether the work was done. */
const NO_NEW_KEY: ReadonlySet<string | undefined> = new Set([
  'IDEMPOTENCY_OUTCOME_UNKNOWN',
  'IDEMPOTENCY_ATTEMPTS_EXHAUSTED',
  'IDEMPOTENCY_KEY_EXPIRED',
]);

/**
 * Whether the intent has ended. After a failure of the server or a gateway, or a timeout, it has
 * not, although nobody asked for a retry: a retry must use the same key. An unknown outcome never
 * gets a new key.
 *
 * @internal
 */
export function isLastWord(answer: Answer): boolean {
  const { response, refusal } = answer;
  if (NO_NEW_KEY.has(refusal?.code)) return false;
  if (refusal === undefined && response.headers.has(REPLAYED_HEADER)) return true;
  const { status } = response;
  return status < 500 && status !== 408 && !asksForAnother(answer);
}

/** What `Retry-After` asks for, in milliseconds; 0 without it. @internal */
export function retryAfterMs(response: Response | undefined): number {
  const text = response?.headers.get('Retry-After') ?? '';
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return waitMs > 0 ? waitMs : 0;
}
