import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotentCall, IncomingRequest } from './call.js';
import { checkedPart } from './key-part.js';
import { InvalidKeyError, type KeySource } from './key-source.js';

/** The header of the key, unless the module's option `header` names another one. */
export const KEY_HEADER = 'Idempotency-Key';
/** The header of an expected version (RFC 9110, section 13.1.1). */
export const IF_MATCH_HEADER = 'If-Match';

const NEW_KEY =
  'Names the operation. Send a new one with each operation, and the same one with every retry.';

/** `token` of RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers of which Node keeps the first line and silently drops the others. */
const KEPT_ONCE = new Set(
  (
    'age authorization content-length content-type etag expires from host if-modified-since ' +
    'if-unmodified-since last-modified location max-forwards proxy-authorization referer ' +
    'retry-after server user-agent'
  ).split(' '),
);

/**
 * The key is a request header. Without a name, it is the module's `header` (`Idempotency-Key`).
 *
 * The value is a structured-field string (`"abc"`) or bare (`abc`); both are the same key. If the
 * header is sent twice, the call is refused.
 *
 * @throws {@link IdempotencyConfigurationError} if the name is not a header name
 */
export function header(name?: string): KeySource {
  if (name !== undefined) return namedHeader(checkedHeaderName(name, 'key'));
  return {
    ...namedHeader(KEY_HEADER),
    resolve({ headerName }) {
      const name = checkedHeaderName(headerName, 'header');
      return { ...namedHeader(name), sentIn: [{ in: 'header', name, description: NEW_KEY }] };
    },
  };
}

export function isHeaderName(name: unknown): boolean {
  return typeof name === 'string' && TOKEN.test(name);
}

/** @throws {@link IdempotencyConfigurationError} if it is not a header name */
export function checkedHeaderName(name: string, option: string): string {
  if (isHeaderName(name)) return name;
  throw wrongOption(
    option,
    name,
    'a header name: letters, digits and hyphens, such as Idempotency-Key',
    'Give only the name, without a colon, spaces or a value.',
  );
}

function namedHeader(name: string): KeySource {
  const lowerName = name.toLowerCase();
  const isKeptOnce = KEPT_ONCE.has(lowerName);
  const description = `header ${name}`;

  function read({ request }: IdempotentCall): string | undefined {
    const found = request.headers[lowerName];
    if (found === undefined) return undefined;
    if (typeof found !== 'string') {
      if (found.length === 1) return parseKeyHeader(String(found[0]), description);
      throw repeated(description);
    }
    // Node joins repeated lines with ', ', so a value without it is a single line.
    if ((isKeptOnce || found.includes(', ')) && isRepeated(request, lowerName)) {
      throw repeated(description);
    }
    return parseKeyHeader(found, description);
  }

  return {
    description,
    readsOnlyHead: true,
    coversContent: false,
    foundIn: ['http', 'rpc', 'graphql'],
    sentIn: [{ in: 'header', name }],
    read,
  };
}

/**
 * Counts the lines as received. If they are not available, a value that could be two lines counts
 * as two.
 */
function isRepeated(request: IncomingRequest, lowerName: string): boolean {
  const lines = rawHeadersOf(request);
  if (lines === undefined) return !KEPT_ONCE.has(lowerName);
  let count = 0;
  for (let i = 0; i < lines.length; i += 2) {
    const line: unknown = lines[i];
    if (typeof line !== 'string' || line.length !== lowerName.length) continue;
    if (line.toLowerCase() === lowerName) count++;
  }
  return count > 1;
}

/** An Express request is Node's own. A Fastify request has Node's as `raw`. */
function rawHeadersOf(request: IncomingRequest): readonly unknown[] | undefined {
  if (Array.isArray(request.rawHeaders)) return request.rawHeaders;
  const raw: unknown = request.raw;
  if (typeof raw !== 'object' || raw === null || !('rawHeaders' in raw)) return undefined;
  return Array.isArray(raw.rawHeaders) ? raw.rawHeaders : undefined;
}

function repeated(source: string): InvalidKeyError {
  return new InvalidKeyError(`The idempotency key from ${source} was sent more than once.`);
}

/** `sf-string`: printable ASCII, with `\"` and `\\` as the only escapes. */
const STRING = /"((?:[ !#-[\]-~]|\\["\\])*)"/y;

/** What may follow an item: `;name` or `;name=value`, where the value is any bare item. */
const PARAMETER = new RegExp(
  '; *[a-z*][a-z0-9_.*-]*' +
    '(?:=(?:' +
    [
      '-?(?:[0-9]{1,12}\\.[0-9]{1,3}|[0-9]{1,15})', // decimal or integer
      '"(?:[ !#-[\\]-~]|\\\\["\\\\])*"', // string
      "[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*", // token
      ':[A-Za-z0-9+/]*={0,2}:', // byte sequence
      '\\?[01]', // boolean
      '@-?[0-9]{1,15}', // date
      '%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"', // display string
    ].join('|') +
    '))?',
  'y',
);

/** Spaces around it are removed before. */
const BARE = /^[ -~]+$/;

/**
 * The key in a header value: the content of a structured-field string (`"abc"`, RFC 9651, section
 * 4.2) or the bare form (`abc`), which is the same key. The bare form is the whole value: visible
 * ASCII, with spaces inside. Parameters after the string are checked and ignored.
 *
 * @param source its name in the error
 * @throws {@link InvalidKeyError} if the value is anything else. No part of it is ever used
 */
export function parseKeyHeader(value: string, source: string): string {
  const trimmed = withoutOuterBlanks(value);
  if (!trimmed.startsWith('"')) {
    checkedPart(trimmed, source);
    if (!BARE.test(trimmed)) throw malformed(source);
    return trimmed;
  }
  STRING.lastIndex = 0;
  const content = STRING.exec(trimmed)?.[1];
  if (content === undefined || !areParameters(trimmed, STRING.lastIndex)) throw malformed(source);
  return checkedPart(
    content.includes('\\') ? content.replaceAll(/\\(["\\])/g, '$1') : content,
    source,
  );
}

/** `String.trim` would also remove a no-break space, which is not ASCII and must be refused. */
function withoutOuterBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function areParameters(text: string, start: number): boolean {
  for (let at = start; at < text.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(text);
    if (parameter === null || !isUtf8(parameter[1])) return false;
  }
  return true;
}

/** A display string is percent-encoded UTF-8, and malformed when it does not decode. */
function isUtf8(displayString: string | undefined): boolean {
  if (displayString === undefined) return true;
  try {
    decodeURIComponent(displayString);
    return true;
  } catch {
    return false;
  }
}

function malformed(source: string): InvalidKeyError {
  return new InvalidKeyError(
    `The idempotency key from ${source} is no key: send visible ASCII with spaces inside (abc), or a structured-field string ("abc").`,
  );
}
