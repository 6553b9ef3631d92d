import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentCall, IncomingRequest } from './call.js';
import { InvalidKeyError, type KeySource } from './key-source.js';
import { parseKeyHeader } from './structured-field.js';

const DEFAULT_HEADER_NAME = 'Idempotency-Key';

const NEW_KEY =
  'Names the operation: a new one for every new operation, and the same one for every retry of it.';

/** `token` of RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers of which Node keeps the first line and drops the others without a trace. */
const KEPT_ONCE = new Set(
  (
    'age authorization content-length content-type etag expires from host if-modified-since ' +
    'if-unmodified-since last-modified location max-forwards proxy-authorization referer ' +
    'retry-after server user-agent'
  ).split(' '),
);

/**
 * A request header as key. Without a name, the module's `header` (`Idempotency-Key`).
 *
 * The value is a structured-field string (`"abc"`) or bare (`abc`), both being the same key.
 * Two lines of the header are no key but an error.
 *
 * @throws {@link IdempotencyConfigurationError} when the name is no header name
 */
export function header(name?: string): KeySource {
  if (name !== undefined) return namedHeader(checkedHeaderName(name, 'key'));
  return {
    ...namedHeader(DEFAULT_HEADER_NAME),
    resolve({ headerName }) {
      const name = checkedHeaderName(headerName, 'header');
      return { ...namedHeader(name), sentIn: [{ in: 'header', name, description: NEW_KEY }] };
    },
  };
}

/** @throws {@link IdempotencyConfigurationError} when it is no header name */
export function checkedHeaderName(name: string, option: string): string {
  if (typeof name === 'string' && TOKEN.test(name)) return name;
  throw new IdempotencyConfigurationError({
    option,
    given: name,
    accepted: 'a header name: letters, digits and hyphens, such as Idempotency-Key',
    remedy: 'Give the name alone, without a colon, spaces or a value.',
  });
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
    // Node joins repeated lines with ', ', so that values without it need no look at the lines.
    if ((isKeptOnce || found.includes(', ')) && isRepeated(request, lowerName)) {
      throw repeated(description);
    }
    return parseKeyHeader(found, description);
  }

  return {
    description,
    readsOnlyHead: true,
    coversContent: false,
    sentIn: [{ in: 'header', name }],
    read,
  };
}

/** Counts the lines as received. Where they cannot be seen, a value that may be two is two. */
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

/** Express requests are Node's own, Fastify's hold it as `raw`. */
function rawHeadersOf(request: IncomingRequest): readonly unknown[] | undefined {
  if (Array.isArray(request.rawHeaders)) return request.rawHeaders;
  const raw: unknown = request.raw;
  if (typeof raw !== 'object' || raw === null || !('rawHeaders' in raw)) return undefined;
  return Array.isArray(raw.rawHeaders) ? raw.rawHeaders : undefined;
}

function repeated(source: string): InvalidKeyError {
  return new InvalidKeyError(`The idempotency key from ${source} was sent more than once.`);
}
