import { types } from 'node:util';
import type { IncomingRequest } from './call.js';

/**
 * The body as parsed, or its bytes if it was kept unparsed; `undefined` if the request has none.
 *
 * @throws {@link FingerprintUnavailableError} if nothing has read the body
 */
export function readBody(request: IncomingRequest): unknown {
  if (isMultipart(request) && hasContent(request)) return multipartFields(request);
  const { body } = request;
  if (isStream(body)) {
    throw unread('it is a stream', 'Let a parser read it first, for example as a Buffer.');
  }
  if (body !== undefined && !isLeftEmpty(request)) return body;
  if (types.isUint8Array(request.rawBody)) return request.rawBody;
  if (!hasContent(request)) return body;
  throw unread(
    'no parser has read it',
    "Register a parser for its content type: app.useBodyParser('raw', { type: 'text/xml' }) on Express, app.useBodyParser('text/xml') on Fastify.",
  );
}

/** Some parsers leave `{}` or `null` for content that they have not read. */
function isLeftEmpty({ body, headers }: IncomingRequest): boolean {
  if (typeof body !== 'object') return false;
  if (body !== null && (Object.keys(body).length > 0 || !isPlainObject(body))) return false;
  return !isParsedByDefault(headers['content-type']);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Content types for which an empty object may really have been sent. */
function isParsedByDefault(contentType: unknown): boolean {
  return (
    typeof contentType === 'string' &&
    /^\s*application\/(?:[\w.+-]*json|x-www-form-urlencoded)\s*(?:;|$)/i.test(contentType)
  );
}

/** RFC 9112, section 6.3; HTTP/2 needs neither of the two headers, but its content has a type. */
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
    isUnparsed: true,
  });
}

/** True for forms with files (`multipart/form-data`) and all other multipart content. */
export function isMultipart({ headers }: IncomingRequest): boolean {
  const type: unknown = headers['content-type'];
  return typeof type === 'string' && /^\s*multipart\//i.test(type);
}

/**
 * The fields of a form, as parsed; all its bytes if it was kept unparsed.
 *
 * @throws {@link FingerprintUnavailableError} if nothing has parsed it yet
 */
function multipartFields(request: IncomingRequest): unknown {
  const { body } = request;
  if (!isParsed(request)) {
    if (types.isUint8Array(request.rawBody)) return request.rawBody;
    throw unavailable(
      'no parser has read it yet',
      'Parse it before the operation is claimed: in a middleware, or with an interceptor such as FileInterceptor below @Idempotent().',
    );
  }
  if (isObject(body) && Object.values(body).some(isUnreadPart)) {
    throw unavailable(
      'its parts are streams',
      "Register @fastify/multipart with attachFieldsToBody: 'keyValues'.",
    );
  }
  return body;
}

/**
 * The files that multer put beside the fields, with their bytes; `undefined` if there are none.
 *
 * @throws {@link FingerprintUnavailableError} if the bytes of a file are not in memory
 */
export function uploadedFiles({ file, files }: IncomingRequest): unknown {
  if (!isObject(file) && !isObject(files)) return undefined;
  return [isObject(file) ? content(file) : null, isObject(files) ? contents(files) : null];
}

/** Multer provides a list, or a list for each field. */
function contents(files: object): unknown {
  if (Array.isArray(files)) return files.map(content);
  return new Map(
    Object.entries(files).map(([field, list]: [string, unknown]) => [
      field,
      Array.isArray(list) ? list.map(content) : content(list),
    ]),
  );
}

function content(file: unknown): unknown {
  const { fieldname, originalname, mimetype, buffer } = (file ?? {}) as Readonly<
    Record<string, unknown>
  >;
  if (types.isUint8Array(buffer)) return [fieldname, originalname, mimetype, buffer];
  throw unavailable(
    'the bytes of a file are not in memory',
    'Use memory storage, so that each file has its buffer.',
  );
}

/**
 * Multer makes an object without prototype even from an empty form. A form that nothing has parsed
 * has no body, or `{}` from a parser that ignored it.
 */
function isParsed({ body, file, files }: IncomingRequest): boolean {
  if (isObject(file) || (isObject(files) && Object.keys(files).length > 0)) return true;
  if (typeof body === 'string') return true;
  return (
    isObject(body) &&
    (ArrayBuffer.isView(body) ||
      Object.keys(body).length > 0 ||
      Object.getPrototypeOf(body) === null)
  );
}

/** What `@fastify/multipart` attaches with `attachFieldsToBody: true`. */
function isUnreadPart(value: unknown): boolean {
  const part: unknown = Array.isArray(value) ? value[0] : value;
  return isObject(part) && 'fields' in part && 'type' in part && 'fieldname' in part;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function unavailable(why: string, remedy: string): FingerprintUnavailableError {
  return new FingerprintUnavailableError({
    what: 'The multipart content cannot be compared with a retry',
    why,
    remedy,
    isUnparsed: true,
  });
}

const BRAND = Symbol.for('nestjs-idempotency:fingerprint-unavailable');

/**
 * The content of a request cannot be read, so a retry with other content would not be noticed. The
 * operation must not run. Either the application must be configured differently, or the caller must
 * send another type of content.
 */
export class FingerprintUnavailableError extends Error {
  override readonly name = 'FingerprintUnavailableError';
  /** True if nothing in the application reads content of this type. */
  readonly isUnparsed: boolean;

  constructor(problem: FingerprintProblem, options?: ErrorOptions) {
    super(
      `${problem.what}: ${problem.why}. Accepted: a body that was parsed or kept before the operation is claimed. ${problem.remedy} Or set fingerprint to a function of the call, or to false if a retry cannot differ.`,
      options,
    );
    this.isUnparsed = problem.isUnparsed ?? false;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** What could not be read, and how to fix it. */
export interface FingerprintProblem {
  /** The part of the request. */
  readonly what: string;
  /** What is wrong with it, as a clause. */
  readonly why: string;
  /** How to fix it, as a sentence. */
  readonly remedy: string;
  /**
   * Nothing in the application reads content of this type, so the caller should send another type.
   */
  readonly isUnparsed?: boolean;
}

/** True for errors of this class, even from another copy of this package (ESM beside CJS). */
export function isFingerprintUnavailableError(
  error: unknown,
): error is FingerprintUnavailableError {
  return typeof error === 'object' && error !== null && BRAND in error;
}
