import { types } from 'node:util';
import type { IncomingRequest } from './call.js';
import { FingerprintUnavailableError } from './fingerprint-unavailable-error.js';
import { isMultipart, multipartFields } from './multipart.js';

/**
 * The body as parsed, or its bytes where it was kept unparsed; `undefined` when the request has
 * none.
 *
 * @throws {@link FingerprintUnavailableError} when it has one that nobody has read
 */
export function readBody(request: IncomingRequest): unknown {
  if (isMultipart(request) && hasContent(request)) return multipartFields(request);
  const { body } = request;
  if (isStream(body)) {
    throw unread('it is a stream', 'Let a parser read it first, as a Buffer for instance.');
  }
  if (body !== undefined && !isLeftEmpty(request)) return body;
  if (types.isUint8Array(request.rawBody)) return request.rawBody;
  if (!hasContent(request)) return body;
  throw unread(
    'no parser has read it',
    'Register a body parser for its content type, or create the application with rawBody: true.',
  );
}

/** Some parsers leave `{}` or `null` behind for content that they have not read. */
function isLeftEmpty({ body, headers }: IncomingRequest): boolean {
  if (typeof body !== 'object') return false;
  if (body !== null && (Object.keys(body).length > 0 || !isPlainObject(body))) return false;
  return !isParsedByDefault(headers['content-type']);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Types for which an empty object may be what was sent. */
function isParsedByDefault(contentType: unknown): boolean {
  return (
    typeof contentType === 'string' &&
    /^\s*application\/(?:[\w.+-]*json|x-www-form-urlencoded)\s*(?:;|$)/i.test(contentType)
  );
}

/** RFC 9112, section 6.3; HTTP/2 needs neither of the two headers, but content has a type. */
function hasContent({ headers, httpVersionMajor, raw }: IncomingRequest): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  const length = headers['content-length'];
  if (length !== undefined) return Number(length) !== 0;
  const version: unknown =
    httpVersionMajor ??
    (raw as { readonly httpVersionMajor?: unknown } | undefined)?.httpVersionMajor;
  return version === 2 && headers['content-type'] !== undefined;
}

function isStream(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    (typeof (body as { pipe?: unknown }).pipe === 'function' ||
      typeof (body as { getReader?: unknown }).getReader === 'function')
  );
}

function unread(why: string, remedy: string): FingerprintUnavailableError {
  return new FingerprintUnavailableError({
    what: 'The request body cannot be compared with a retry',
    why,
    remedy,
  });
}
