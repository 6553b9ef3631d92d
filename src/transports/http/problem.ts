import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { EXPOSE_HEADER, exposing } from './headers.js';

/** RFC 9457, section 3. */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/**
 * Headers of a refusal beside the body that Nest's filters send.
 *
 * @param base what is on the response already
 */
export function problemHeaders(
  exception: IdempotencyException,
  base: OutgoingHttpHeaders,
): [name: string, value: string][] {
  const headers: [string, string][] = [['Content-Type', PROBLEM_CONTENT_TYPE]];
  if (exception.retryAfterSeconds === undefined) return headers;
  headers.push(['Retry-After', String(exception.retryAfterSeconds)]);
  const exposed = exposing(base, 'Retry-After');
  if (exposed !== undefined) headers.push([EXPOSE_HEADER, exposed]);
  return headers;
}

/** Writes a refusal where no filter will: in place of a reply whose claim was lost. */
export function writeProblem(
  raw: ServerResponse,
  base: OutgoingHttpHeaders,
  exception: IdempotencyException,
): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  for (const [name, value] of problemHeaders(exception, base)) raw.setHeader(name, value);
  const body = Buffer.from(JSON.stringify(exception.problem));
  raw.statusCode = exception.getStatus();
  raw.setHeader('Content-Length', body.length);
  raw.end(body);
}
