import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';
import type { HeaderField } from '../../replies/reply.js';

/** Names of headers to other origins. */
export const EXPOSE_HEADER = 'Access-Control-Expose-Headers';
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
  'idempotent-replayed',
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
