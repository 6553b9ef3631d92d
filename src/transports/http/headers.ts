import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import type { HeaderField } from '../../replies/reply.js';

/** Lists the headers that scripts of other origins may read. */
export const EXPOSE_HEADER = 'Access-Control-Expose-Headers';
/** When a refused caller may try again (RFC 9110, section 10.2.3). */
export const RETRY_AFTER_HEADER = 'Retry-After';
/** Marks a replay, as several providers do. */
export const REPLAYED_HEADER = 'Idempotent-Replayed';
/** Where a refusal is documented (RFC 8288). */
export const LINK_HEADER = 'Link';
/** The code of a refusal, also where a filter of the application gives it a body of its own. */
export const ERROR_HEADER = 'Idempotency-Error';

/** Nest's metadata key for `@Header()`, which it sets on the response before interceptors run. */
const HEADERS_METADATA = '__headers__';

/** By the method that Nest reads them from. */
const declared = new WeakMap<object, readonly string[]>();

/**
 * The names of the headers that `@Header()` sets for a handler, in lower case, without those that let a
 * script of another origin read the answer (Fetch standard): it may read replays and refusals too.
 */
export function declaredHeaders(method: object): readonly string[] {
  let names = declared.get(method);
  if (names === undefined) {
    const headers = (Reflect.getMetadata(HEADERS_METADATA, method) ?? []) as { name: string }[];
    const lower = new Set(headers.map(({ name }) => name.toLowerCase()));
    names = [...lower].filter((name) => !name.startsWith('access-control-'));
    declared.set(method, names);
  }
  return names;
}

/** Headers that the handler set: those that were absent or different `before`. */
export function recordableHeaders(
  headers: OutgoingHttpHeaders,
  before: OutgoingHttpHeaders,
  isUnrecorded: (name: string) => boolean,
): HeaderField[] {
  const recorded: HeaderField[] = [];
  for (const given of Object.keys(headers)) {
    const value = headers[given];
    if (value === undefined) continue;
    const name = given.toLowerCase();
    if (isSame(value, before[name]) || isUnrecorded(name)) continue;
    recorded.push([given, typeof value === 'number' ? String(value) : value]);
  }
  return recorded;
}

/** `Vary` with `Accept-Encoding` in it (RFC 9110, section 12.5.5). */
export function varyingByEncoding(given: OutgoingHttpHeader | undefined): string {
  const fields = given === undefined ? '' : String(given);
  const isKnown = fields
    .toLowerCase()
    .split(/\s*,\s*/)
    .some((field) => field === '*' || field === 'accept-encoding');
  if (isKnown) return fields;
  return fields === '' ? 'Accept-Encoding' : `${fields}, Accept-Encoding`;
}

/**
 * `Access-Control-Expose-Headers` with these names in it, where the reply goes to a script of another
 * origin, which sees no other headers (Fetch standard); `undefined` where nothing needs to change.
 */
export function exposing(
  headers: OutgoingHttpHeaders,
  ...names: readonly string[]
): string | undefined {
  if (headers['access-control-allow-origin'] === undefined) return undefined;
  const exposed = String(headers['access-control-expose-headers'] ?? '');
  const known = exposed.toLowerCase().split(/\s*,\s*/);
  const missing = names.filter((name) => !known.includes(name.toLowerCase()));
  if (missing.length === 0) return undefined;
  return [...(exposed === '' ? [] : [exposed]), ...missing].join(', ');
}

function isSame(value: OutgoingHttpHeader, before: OutgoingHttpHeader | undefined): boolean {
  return before !== undefined && (value === before || String(value) === String(before));
}

/** RFC 9457, section 3. */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/**
 * Headers of a refusal, whatever its body is.
 *
 * @param base the headers that are already on the response
 */
export function problemHeaders(
  { code, problem, retryAfterSeconds }: IdempotencyException,
  base: OutgoingHttpHeaders,
): [name: string, value: string][] {
  const headers: [string, string][] = [[ERROR_HEADER, code]];
  if (retryAfterSeconds !== undefined)
    headers.push([RETRY_AFTER_HEADER, String(retryAfterSeconds)]);
  const exposed = exposing(base, ...headers.map(([name]) => name));
  if (exposed !== undefined) headers.push([EXPOSE_HEADER, exposed]);
  // A URN cannot be followed.
  if (!problem.type.startsWith('urn:'))
    headers.push([LINK_HEADER, withLink(base['link'], `<${problem.type}>; rel="describedby"`)]);
  return headers;
}

function withLink(given: OutgoingHttpHeader | undefined, link: string): string {
  return given === undefined ? link : `${String(given)}, ${link}`;
}

/** Writes a refusal that no filter handles: in place of a reply whose claim was lost. */
export function writeProblem(
  raw: ServerResponse,
  base: OutgoingHttpHeaders,
  exception: IdempotencyException,
): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  for (const [name, value] of problemHeaders(exception, base)) raw.setHeader(name, value);
  const body = Buffer.from(JSON.stringify(exception.problem));
  raw.statusCode = exception.getStatus();
  raw.setHeader('Content-Type', PROBLEM_CONTENT_TYPE);
  raw.setHeader('Content-Length', body.length);
  raw.end(body);
}
