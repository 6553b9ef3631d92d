import { type Awaitable, chain } from '../engine/awaitable.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentCall } from './call.js';
import { quote } from './canonical-text.js';
import { FingerprintUnavailableError } from './fingerprint-unavailable-error.js';
import { credentialDigest } from './principal.js';
import { comparable, contentLines } from './request-content.js';
import { sha256 } from './sha256.js';

export { FingerprintUnavailableError };

/** The empty string would match the records of callers who have some. */
const NO_CREDENTIALS = sha256('no credentials');

/** Says what a retry must repeat: text, or any JSON-like value. Members in any order. */
export type FingerprintFunction = (call: IdempotentCall) => Awaitable<unknown>;

/**
 * A function, or `false`: a retry may differ in everything but its key. A caller whose principal
 * is not known has to repeat the credentials, or their absence, in any case.
 */
export type FingerprintDeclaration = FingerprintFunction | false;

/** Digest of what a retry must repeat; the empty string matches everything. */
export type ResolvedFingerprint = (call: IdempotentCall) => Awaitable<string>;

/**
 * The default fingerprint: a digest of method, route, parameters, query, body and files, and
 * of the caller's credentials where the principal is not known. The order of members and of
 * query parameters and the form of numbers do not matter; the order of repeated values does.
 *
 * Read it once per call, before the handler: handlers change bodies.
 *
 * @param call its `scope` stands for the route
 * @throws {@link FingerprintUnavailableError} when the body cannot be read
 */
export function requestFingerprint(call: IdempotentCall): string {
  const route = quote(call.scope);
  return sha256(`${call.request.method ?? ''}\n${route}\n${contentLines(call)}`);
}

/**
 * A digest of content that code gives by itself.
 *
 * @throws {@link FingerprintUnavailableError} when it cannot be compared
 */
export function contentFingerprint(content: unknown): string {
  return sha256(comparable('content', content));
}

/**
 * What an application gave as `fingerprint`, or {@link requestFingerprint}. Synchronous when
 * the function is.
 *
 * @throws {@link IdempotencyConfigurationError} at boot when it is neither a function nor
 *   `false`; at the call when it answers with nothing, which would match every retry
 */
export function resolveFingerprint(
  declaration: FingerprintDeclaration | undefined,
): ResolvedFingerprint {
  if (declaration === undefined) return requestFingerprint;
  if (declaration === false) return callerFingerprint;
  if (typeof declaration !== 'function') {
    throw new IdempotencyConfigurationError({
      option: 'fingerprint',
      given: declaration,
      accepted: 'a function of the call, or false',
      remedy: 'Leave the option out to compare method, route, parameters, query and body.',
    });
  }
  return (call) => chain(declaration(call), (answer) => answerFingerprint(answer, call));
}

/** Without a name, callers are told apart by their credentials, and by having none. */
function callerFingerprint(call: IdempotentCall): string {
  return call.principal === undefined ? (credentialDigest(call) ?? NO_CREDENTIALS) : '';
}

function answerFingerprint(answer: unknown, call: IdempotentCall): string {
  if (answer !== undefined && typeof answer !== 'function' && typeof answer !== 'symbol') {
    const content = contentFingerprint(answer);
    const credential = credentialDigest(call);
    return credential === undefined ? content : sha256(content + credential);
  }
  throw new IdempotencyConfigurationError({
    option: 'fingerprint',
    given: answer,
    accepted: 'an answer that is text or a JSON-like value',
    remedy: 'Let the function answer with what a retry must repeat.',
  });
}
