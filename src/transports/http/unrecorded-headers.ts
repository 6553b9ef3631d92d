/**
 * Headers and trailers that belong to one message and not to the operation, by their names or, with
 * `*`, by how these begin. A replay has the values of its own request, if there are any.
 */
export const UNRECORDED_HEADERS: readonly string[] = [
  // Hop-by-hop fields (RFC 9110, section 7.6.1), and fields that frame or date a message.
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'date',
  'age',
  'via',
  // Credentials, and the answers of authentication (RFC 9110, section 11).
  'set-cookie',
  'set-cookie2',
  'authorization',
  'proxy-authorization',
  'www-authenticate',
  'proxy-authenticate',
  'authentication-info',
  'proxy-authentication-info',
  // For one origin (Fetch standard, CORS protocol).
  'access-control-*',
  // Tokens against forged requests, which belong to a session.
  'csrf-token',
  'xsrf-token',
  'x-csrf-token',
  'x-xsrf-token',
  // Ids and traces of one request, and how long it took (W3C Trace Context, Server Timing).
  'request-id',
  'x-request-id',
  'x-correlation-id',
  'correlation-id',
  'traceparent',
  'tracestate',
  'traceresponse',
  'baggage',
  'b3',
  'x-b3-*',
  'x-trace-id',
  'x-span-id',
  'x-amzn-trace-id',
  'x-amzn-requestid',
  'x-cloud-trace-context',
  'server-timing',
  'x-response-time',
  'x-runtime',
  // What is left of a budget changes with every request (draft-ietf-httpapi-ratelimit-headers).
  'ratelimit',
  'ratelimit-*',
  'x-ratelimit-*',
  'x-rate-limit-*',
  'idempotent-replayed',
];

/**
 * Without these fields, replies with these statuses are not valid (RFC 9110, sections 15.5.2, 15.5.8 and
 * 15.5.22), so there they are part of the reply.
 */
const OF_STATUS: ReadonlyMap<string, number> = new Map([
  ['www-authenticate', 401],
  ['proxy-authenticate', 407],
  ['upgrade', 426],
]);

/** Tells whether a header, in lower case, is left out of the record of a reply with this status. */
export type IsUnrecorded = (name: string, status: number) => boolean;

/** @param option the application's own names, beside those of {@link UNRECORDED_HEADERS} */
export function unrecordedHeaders(option: readonly string[] = []): IsUnrecorded {
  const isListed = listed(UNRECORDED_HEADERS);
  const isNamed = listed(option);
  return (name, status) =>
    (isListed(name) && OF_STATUS.get(name) !== status) ||
    isNamed(name) ||
    // There it is said about the call, and not about the operation.
    (name === 'retry-after' && (status === 429 || status === 503));
}

function listed(given: readonly string[]): (name: string) => boolean {
  const names = new Set<string>();
  const beginnings: string[] = [];
  for (const one of given) {
    const name = one.toLowerCase();
    if (name.endsWith('*')) beginnings.push(name.slice(0, -1));
    else names.add(name);
  }
  return (name) => names.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}
