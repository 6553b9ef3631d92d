import { canonicalJson, NotComparableError } from './canonical-json.js';
import type { IdempotentCall, IncomingRequest } from './call.js';
import { FingerprintUnavailableError } from './fingerprint-unavailable-error.js';
import { isMultipart, uploadedFiles } from './multipart.js';
import { credentialDigest } from './principal.js';
import { readBody } from './request-body.js';

/**
 * What a call says, as canonical lines: parameters of the route, query, body, files, arguments, and
 * the digest of the caller's credentials where the principal is not known. Equal for equal
 * content however it is ordered, and different for different content.
 *
 * The work is bounded by what the body parsers let through (Express 100 kB and Fastify 1 MiB
 * by default): it grows with the size of the content, not with its depth.
 *
 * @param select what counts of a body that has members
 * @throws {@link FingerprintUnavailableError} when the body has not been read, or has content
 *   that cannot be compared
 */
export function contentLines(call: IdempotentCall, select?: (body: unknown) => unknown): string {
  const { request } = call;
  const body = readBody(request);
  const files = isMultipart(request) ? uploadedFiles(request) : undefined;
  return [
    line('parameters', request.params),
    line('query', queryOf(request)),
    line('body', select === undefined ? body : select(body)),
    line('files', files),
    line('credentials', credentialDigest(call)),
    // Requests have none, and the digests of those on record are to stay what they are.
    ...(call.args === undefined ? [] : [line('arguments', call.content ?? call.args)]),
  ].join('\n');
}

/** Canonical JSON never breaks a line, so that line breaks frame. An empty line says: nothing. */
function line(part: string, content: unknown): string {
  return content === undefined ? '' : comparable(part, content);
}

/** @throws {@link FingerprintUnavailableError} for content that cannot be compared */
export function comparable(part: string, content: unknown): string {
  try {
    return canonicalJson(content);
  } catch (cause) {
    if (!(cause instanceof NotComparableError)) throw cause;
    throw new FingerprintUnavailableError(
      {
        what: `The ${part} of the request cannot be compared with a retry`,
        why: cause.message.replace(/\.$/, ''),
        remedy: 'Let parsers put plain values there.',
      },
      { cause },
    );
  }
}

/**
 * The query as the handler sees it; the query string itself where the application has turned
 * its parser off, because `?amount=1` must not replay for `?amount=1000`.
 */
function queryOf({ query, url }: IncomingRequest): unknown {
  if (typeof query === 'object' && query !== null && Object.keys(query).length > 0) return query;
  const start = url === undefined ? -1 : url.indexOf('?');
  if (url === undefined || start === -1 || start === url.length - 1) return {};
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(url.slice(start + 1))) {
    const others = values.get(name);
    if (others === undefined) values.set(name, [value]);
    else others.push(value);
  }
  return values;
}
