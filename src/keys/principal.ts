import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import type { Identifier, IdempotentCall } from './call.js';
import { sha256 } from './record-id.js';

/** Who is calling. `undefined`, `null` and `''` mean that nobody is known. */
export type PrincipalFunction = (call: IdempotentCall) => Awaitable<Identifier | null | undefined>;

/** {@link PrincipalFunction} with its answer as text; `undefined` for an anonymous caller. */
export type ResolvedPrincipal = (call: IdempotentCall) => Awaitable<string | undefined>;

/** `request.user.id`, else `request.user.sub`, where that is a string, a number or a bigint. */
export function defaultPrincipal(call: IdempotentCall): string | undefined {
  const user: unknown = call.request.user;
  if (typeof user !== 'object' || user === null) return undefined;
  const { id, sub } = user as { readonly id?: unknown; readonly sub?: unknown };
  return identifierText(id) ?? identifierText(sub);
}

/**
 * What an application gave as `principal`, or {@link defaultPrincipal}. Synchronous when the
 * function is.
 *
 * @throws {@link IdempotencyConfigurationError} at boot when it is no function; at the call
 *   when it answers with anything but an identifier, because objects that read alike as text
 *   (`[object Object]`) would make one principal of all callers
 */
export function resolvePrincipal(declaration: PrincipalFunction | undefined): ResolvedPrincipal {
  if (declaration === undefined) return defaultPrincipal;
  if (typeof declaration !== 'function') {
    throw wrongOption(
      'principal',
      declaration,
      'a function of the call',
      'Give a function such as (call) => call.request.user?.id, or leave the option out.',
    );
  }
  return (call) => chain(declaration(call), principalText);
}

/**
 * A principal that code gives by itself, held to the same rules.
 *
 * @throws {@link IdempotencyConfigurationError} when it is no identifier
 */
export function directPrincipal(given: unknown): string | undefined {
  return checkedPrincipal(given, '', 'Give the identifier itself, such as user.id.');
}

function principalText(answer: unknown): string | undefined {
  return checkedPrincipal(
    answer,
    'an answer that is ',
    'Let the function answer with the identifier itself, such as call.request.user?.id.',
  );
}

function checkedPrincipal(given: unknown, what: string, remedy: string): string | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  const text = identifierText(given);
  if (text !== undefined) return text;
  throw wrongOption(
    'principal',
    given,
    `${what}a string, a finite number, a bigint, null or undefined`,
    remedy,
  );
}

function identifierText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  return typeof value === 'bigint' ? String(value) : undefined;
}

/**
 * Tells anonymous callers apart: a digest of the credentials that the request carries
 * (`Authorization`, else `Cookie`), or `undefined` when the principal is known or it carries none.
 */
export function credentialDigest(call: IdempotentCall): string | undefined {
  if (call.principal !== undefined) return undefined;
  const { authorization, cookie } = call.request.headers;
  // Names the kind: the same text as a token and as a cookie is not the same caller.
  if (authorization) return sha256(JSON.stringify(['authorization', authorization]));
  return cookie ? sha256(JSON.stringify(['cookie', cookie])) : undefined;
}
