import { type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { HeaderField } from '../../replies/reply.js';

const NO_BODY_STATUS: ReadonlySet<number> = new Set([204, 304]);

/** A reply with this status has no body (RFC 9110, section 6.4.1). */
export function hasBody(status: number): boolean {
  return !NO_BODY_STATUS.has(status);
}

/** What was given to `addTrailers()`: an object, or a list of pairs. */
export function trailerFields(given: unknown): HeaderField[] {
  const pairs = Array.isArray(given) ? (given as unknown[][]) : Object.entries(given as object);
  return pairs.map(([name, value]) => [
    String(name),
    Array.isArray(value) ? value.map(String) : String(value),
  ]);
}

/**
 * Whether Node sends the trailers of a reply: only with chunked transfer coding, which HTTP/1.0 does
 * not have, and which a reply with a length does not use. Of the others they are silently dropped.
 *
 * @param hasBegun something was written before the end
 */
export function areSent(
  response: ServerResponse,
  headers: OutgoingHttpHeaders,
  hasBegun: boolean,
): boolean {
  if (!hasBody(response.statusCode)) return false;
  if (!(response instanceof ServerResponse)) return true;
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  if (isOld(response) || names.has('content-length')) return false;
  return hasBegun || names.has('trailer') || names.has('transfer-encoding');
}

/** HTTP/1.0. */
export function isOld({ req }: ServerResponse): boolean {
  return req.httpVersionMajor === 1 && req.httpVersionMinor === 0;
}

/** The trailers of a recorded reply, as `addTrailers()` takes them. */
export function outgoingTrailers(fields: readonly HeaderField[]): OutgoingHttpHeaders {
  return Object.fromEntries(fields) as OutgoingHttpHeaders;
}
