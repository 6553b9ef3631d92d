import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import type { Identifier, IdempotentCall } from './call.js';

/** Who is calling. `undefined`, `null` and `''` mean that nobody is known. */
export type PrincipalFunction = (call: IdempotentCall) => Awaitable<Identifier | null | undefined>;

/** {@link PrincipalFunction} with its answer as text; `undefined` for an anonymous caller. */
export type ResolvedPrincipal = (call: IdempotentCall) => Awaitable<string | undefined>;

/**
 * `request.user.id`, else `.sub`, else `.userId`. An id that is an object, such as one of MongoDB, counts by
 * the text that it has of its own.
 *
 * @throws {@link IdempotencyConfigurationError} for one that has none: it would make one caller of all
 */
export function defaultPrincipal(call: IdempotentCall): string | undefined {
  const user: unknown = call.request.user;
  if (typeof user !== 'object' || user === null) return undefined;
  const { id, sub, userId } = user as Readonly<Record<string, unknown>>;
  return knownText(id, 'id') ?? knownText(sub, 'sub') ?? knownText(userId, 'userId');
}

function knownText(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const text = identifierText(value);
  if (text !== undefined) return text;
  throw wrongOption(
    `principal: request.user.${name}`,
    value,
    'a string, a finite number, a bigint, or an object with toHexString() or toString() of its own',
    'Give a function that names the caller, such as principal: (call) => call.request.user?.email.',
  );
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
    `${what}a string, a finite number, a bigint, an object with text of its own, null or undefined`,
    remedy,
  );
}

function identifierText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'object' && value !== null ? ownText(value) : undefined;
}

/** What an object that stands for an identifier calls itself: an ObjectId, a UUID of a library. */
function ownText(value: object): string | undefined {
  if (Array.isArray(value)) return undefined;
  const methods = value as Readonly<Record<string, unknown>>;
  const own = methods['toHexString'] ?? methods['toString'];
  // The one of all objects says the same of all of them.
  if (typeof own !== 'function' || own === Object.prototype.toString) return undefined;
  const text: unknown = own.call(value);
  return typeof text === 'string' && text !== '' ? text : undefined;
}
