import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import { CALLER } from '../engine/waiting.js';
import type { IdempotentCall, IncomingRequest } from './call.js';
import { canonicalJson, NotComparableError, quote } from './canonical-json.js';
import { type CredentialDigest, defaultCredentials } from './credentials.js';
import { JOB } from './jobs.js';
import { sha256 } from './record-id.js';
import {
  FingerprintUnavailableError,
  isMultipart,
  readBody,
  uploadedFiles,
} from './request-body.js';

export { FingerprintUnavailableError };

/** An empty string would match the records of callers that do have credentials. */
const NO_CREDENTIALS = sha256('no credentials');

/** 128 bits are enough to tell the callers of one key apart. */
const CALLER_DIGITS = 32;

/**
 * Returns what a retry must repeat instead of the body: text, or any JSON-like value. The order of
 * members does not matter.
 */
export type FingerprintFunction = (call: IdempotentCall) => Awaitable<unknown>;

/**
 * A function replaces the body (outside HTTP, the arguments) and nothing else: method, route,
 * parameters and query still count. `false`: a retry may differ in everything but its key. If the
 * principal is not known, a retry must repeat the credentials, or have none again, in any case.
 */
export type FingerprintDeclaration = FingerprintFunction | false;

/** Digest of what a retry must repeat; the empty string matches everything. */
export type ResolvedFingerprint = (call: IdempotentCall) => Awaitable<string>;

/** What all fingerprints of an application share. */
export interface FingerprintContext {
  readonly credentials?: CredentialDigest;
  /** Handlers share the namespace of the keys, but one never gets the reply of another. */
  readonly isShared?: boolean;
}

/**
 * The default fingerprint: a digest of method, route, parameters, query, body and files, and of the
 * caller's credentials if the principal is not known. The order of members and of query parameters
 * and the form of numbers do not matter; the order of repeated values does.
 *
 * Compute it once per call and before the handler, because handlers change bodies.
 *
 * @param call its `scope` represents the route
 * @throws {@link FingerprintUnavailableError} if the body cannot be read
 */
export function requestFingerprint(
  call: IdempotentCall,
  credentials: CredentialDigest = defaultCredentials,
): string {
  return ofCaller(digestOf(call, contentLines(call)), call, credentials);
}

/**
 * A digest of content that code passes directly.
 *
 * @throws {@link FingerprintUnavailableError} if it cannot be compared
 */
export function contentFingerprint(content: unknown): string {
  return sha256(comparable('content', content));
}

/**
 * The fingerprint function of the application, or {@link requestFingerprint}. Synchronous if the
 * function is.
 *
 * @throws {@link IdempotencyConfigurationError} at boot if it is neither a function nor `false`;
 *   at the call if it returns nothing, which would match every retry
 */
export function resolveFingerprint(
  declaration: FingerprintDeclaration | undefined,
  { credentials = defaultCredentials, isShared = false }: FingerprintContext = {},
): ResolvedFingerprint {
  if (declaration === undefined) return (call) => requestFingerprint(call, credentials);
  if (declaration === false)
    return (call) => ofCaller(isShared ? sha256(call.scope) : '', call, credentials);
  if (typeof declaration !== 'function') {
    throw wrongOption(
      'fingerprint',
      declaration,
      'a function of the call, or false',
      'Leave the option out to compare method, route, parameters, query and body.',
    );
  }
  if (declaration.length > 1)
    throw wrongOption(
      'fingerprint',
      declaration,
      'a function of the call alone, or false',
      'Write `(call) => …`: the body is `call.request.body`, and a message is `call.payload`.',
    );
  return (call) =>
    chain(declaration(call), (answer) =>
      ofCaller(digestOf(call, linesWith(call, answered(answer))), call, credentials),
    );
}

function digestOf({ request, scope, job }: IdempotentCall, lines: string): string {
  const digest = sha256(`${request.method ?? ''}\n${quote(scope)}\n${lines}`);
  return job === undefined ? digest : digest + JOB + job;
}

/**
 * Callers without a principal are told apart by their credentials, or by having none. This is a
 * separate part, so that a refusal can say that not the content differs.
 */
function ofCaller(content: string, call: IdempotentCall, credentials: CredentialDigest): string {
  return call.principal === undefined
    ? content + CALLER + (credentials(call) ?? NO_CREDENTIALS).slice(0, CALLER_DIGITS)
    : content;
}

function answered(answer: unknown): unknown {
  if (answer !== undefined && typeof answer !== 'function' && typeof answer !== 'symbol')
    return answer;
  throw wrongOption(
    'fingerprint',
    answer,
    'a result that is text or a JSON-like value',
    'Return what a retry must repeat.',
  );
}

/**
 * The content of a call as canonical lines: parameters of route and host, query, body, files,
 * arguments. Equal content gives equal lines, in whatever order it is, and different content gives
 * different lines.
 *
 * The limits of the body parsers also limit this work (Express 100 kB and Fastify 1 MiB by
 * default). It grows with the size of the content, not with its depth.
 *
 * @param select chooses which members of a body count
 * @throws {@link FingerprintUnavailableError} if the body has not been read, or has content that
 *   cannot be compared
 */
export function contentLines(call: IdempotentCall, select?: (body: unknown) => unknown): string {
  const { request } = call;
  const body = readBody(request);
  const files = isMultipart(request) ? uploadedFiles(request) : undefined;
  const args = call.args === undefined ? [] : [line('arguments', call.content ?? call.args)];
  return linesWith(call, select === undefined ? body : select(body), files, args);
}

/** The same, with something else in place of the body, the files and the arguments. */
export function linesWith(
  { request }: IdempotentCall,
  content: unknown,
  files?: unknown,
  more: readonly string[] = [],
): string {
  return [
    line('parameters', request.params),
    line('hosts', hostsOf(request)),
    line('query', queryOf(request)),
    line('body', content),
    line('files', files),
    ...more,
  ].join('\n');
}

/** The parameters of `@Controller({ host: ':tenant.example.com' })`, as Nest leaves them on the request. */
function hostsOf({ hosts }: IncomingRequest): unknown {
  return typeof hosts === 'object' && hosts !== null && Object.keys(hosts).length > 0
    ? hosts
    : undefined;
}

/**
 * Canonical JSON has no line breaks, so they separate the parts. An empty line means that a part is
 * absent.
 */
function line(part: string, content: unknown): string {
  return content === undefined ? '' : comparable(part, content);
}

/** @throws {@link FingerprintUnavailableError} for content that cannot be compared */
function comparable(part: string, content: unknown): string {
  try {
    return canonicalJson(content);
  } catch (cause) {
    if (!(cause instanceof NotComparableError)) throw cause;
    throw new FingerprintUnavailableError(
      {
        what: `The ${part} of the request cannot be compared with a retry`,
        why: cause.message.replace(/\.$/, ''),
        remedy: 'Make sure that the parser produces plain values.',
      },
      { cause },
    );
  }
}

/**
 * The query as the handler sees it. If the application has switched its parser off, the query
 * string itself, because `?amount=1` must not replay for `?amount=1000`.
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
