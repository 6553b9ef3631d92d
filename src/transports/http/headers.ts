import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import type { HeaderField } from '../../replies/reply.js';

/** Names of headers to other origins. */
export const EXPOSE_HEADER = 'Access-Control-Expose-Headers';
/** When a refused caller may come again (RFC 9110, section 10.2.3). */
export const RETRY_AFTER_HEADER = 'Retry-After';
/** Marks a replay (practice of several providers). */
export const REPLAYED_HEADER = 'Idempotent-Replayed';

/**
 * Never recorded: hop-by-hop fields (RFC 9110, section 7.6.1), fields that frame one message or
 * date it, credentials, and what belongs to one request alone.
 */
const NOT_RECORDED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'date',
  'set-cookie',
  'set-cookie2',
  'authorization',
  'proxy-authorization',
  'proxy-authenticate',
  'authentication-info',
  'proxy-authentication-info',
  'x-request-id',
  'x-correlation-id',
  REPLAYED_HEADER.toLowerCase(),
]);
/** Answers to one origin (Fetch standard, CORS protocol). */
const NOT_RECORDED_PREFIX = 'access-control-';

/** Headers that the handler set: those that were not there, or were different, `before`. */
export function recordableHeaders(
  headers: OutgoingHttpHeaders,
  before: OutgoingHttpHeaders,
): HeaderField[] {
  const recorded: HeaderField[] = [];
  for (const given of Object.keys(headers)) {
    const value = headers[given];
    if (value === undefined) continue;
    const name = given.toLowerCase();
    if (NOT_RECORDED.has(name) || name.startsWith(NOT_RECORDED_PREFIX)) continue;
    if (!isSame(value, before[name]))
      recorded.push([given, typeof value === 'number' ? String(value) : value]);
  }
  return recorded;
}

/**
 * `Access-Control-Expose-Headers` with this name in it, where the reply goes to a script of another
 * origin, which sees no other headers (Fetch standard); `undefined` where nothing needs to change.
 */
export function exposing(headers: OutgoingHttpHeaders, name: string): string | undefined {
  if (headers['access-control-allow-origin'] === undefined) return undefined;
  const exposed = String(headers['access-control-expose-headers'] ?? '');
  const names = exposed.toLowerCase().split(/\s*,\s*/);
  if (names.includes(name.toLowerCase())) return undefined;
  return exposed === '' ? name : `${exposed}, ${name}`;
}

function isSame(value: OutgoingHttpHeader, before: OutgoingHttpHeader | undefined): boolean {
  return before !== undefined && (value === before || String(value) === String(before));
}

/** RFC 9457, section 3. */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/**
 * Headers of a refusal beside the body that Nest's filters send.
 *
 * @param base what is on the response already
 */
export function problemHeaders(
  exception: IdempotencyException,
  base: OutgoingHttpHeaders,
): [name: string, value: string][] {
  const headers: [string, string][] = [['Content-Type', PROBLEM_CONTENT_TYPE]];
  if (exception.retryAfterSeconds === undefined) return headers;
  headers.push([RETRY_AFTER_HEADER, String(exception.retryAfterSeconds)]);
  const exposed = exposing(base, RETRY_AFTER_HEADER);
  if (exposed !== undefined) headers.push([EXPOSE_HEADER, exposed]);
  return headers;
}

/** Writes a refusal where no filter will: in place of a reply whose claim was lost. */
export function writeProblem(
  raw: ServerResponse,
  base: OutgoingHttpHeaders,
  exception: IdempotencyException,
): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  for (const [name, value] of problemHeaders(exception, base)) raw.setHeader(name, value);
  const body = Buffer.from(JSON.stringify(exception.problem));
  raw.statusCode = exception.getStatus();
  raw.setHeader('Content-Length', body.length);
  raw.end(body);
}
