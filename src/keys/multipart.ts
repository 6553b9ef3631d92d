import { types } from 'node:util';
import type { IncomingRequest } from './call.js';
import { FingerprintUnavailableError } from './fingerprint-unavailable-error.js';

/** True for forms with files (`multipart/form-data`) and everything else in parts. */
export function isMultipart({ headers }: IncomingRequest): boolean {
  const type: unknown = headers['content-type'];
  return typeof type === 'string' && /^\s*multipart\//i.test(type);
}

/**
 * The fields of a form, as parsed; the bytes of all of it where it was kept unparsed.
 *
 * @throws {@link FingerprintUnavailableError} when nobody has parsed it yet
 */
export function multipartFields(request: IncomingRequest): unknown {
  const { body } = request;
  if (!isParsed(request)) {
    if (types.isUint8Array(request.rawBody)) return request.rawBody;
    throw unavailable(
      'no parser has read it yet',
      'Parse it before the operation is claimed: in a middleware, or with an interceptor such as FileInterceptor that stands below @Idempotent().',
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
 * The files that multer has put beside the fields, with their bytes; `undefined` without any.
 *
 * @throws {@link FingerprintUnavailableError} when the bytes of one are not in memory
 */
export function uploadedFiles({ file, files }: IncomingRequest): unknown {
  if (!isObject(file) && !isObject(files)) return undefined;
  return [isObject(file) ? content(file) : null, isObject(files) ? contents(files) : null];
}

/** Multer gives a list, or lists by field. */
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
 * Multer makes an object without prototype even of an empty form, while a form that nobody has
 * parsed has no body, or `{}` from a parser that has left it alone.
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
  });
}
