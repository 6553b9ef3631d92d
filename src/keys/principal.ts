import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import type { Identifier, IdempotentCall } from './call.js';

/** Returns who is calling. `undefined`, `null` and `''` mean that the caller is anonymous. */
export type PrincipalFunction = (call: IdempotentCall) => Awaitable<Identifier | null | undefined>;

/** A {@link PrincipalFunction} whose result is text; `undefined` for an anonymous caller. */
export type ResolvedPrincipal = (call: IdempotentCall) => Awaitable<string | undefined>;

/**
 * `request.user.id`, else `.sub`, else `.userId`. An id that is an object, such as MongoDB's, is
 * represented by its own text.
 *
 * @throws {@link IdempotencyConfigurationError} for an object without its own text, because all
 *   callers would look the same
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
    'a string, a finite number, a bigint, or an object with its own toHexString() or toString()',
    'Pass a function that names the caller, such as principal: (call) => call.request.user?.email.',
  );
}

/**
 * The application's `principal` function, or {@link defaultPrincipal}. Synchronous if the function
 * is.
 *
 * @throws {@link IdempotencyConfigurationError} at boot if it is not a function; at the call if
 *   it returns anything but an identifier, because objects with the same text (`[object Object]`)
 *   would turn all callers into one
 */
export function resolvePrincipal(declaration: PrincipalFunction | undefined): ResolvedPrincipal {
  if (declaration === undefined) return defaultPrincipal;
  if (typeof declaration !== 'function') {
    throw wrongOption(
      'principal',
      declaration,
      'a function of the call',
      'Pass a function such as (call) => call.request.user?.id, or leave the option out.',
    );
  }
  return (call) => chain(declaration(call), principalText);
}

/**
 * A principal that code passes directly. The same rules apply.
 *
 * @throws {@link IdempotencyConfigurationError} if it is not an identifier
 */
export function directPrincipal(given: unknown): string | undefined {
  return checkedPrincipal(given, '', 'Pass the identifier itself, such as user.id.');
}

function principalText(answer: unknown): string | undefined {
  return checkedPrincipal(
    answer,
    'a result that is ',
    'Return the identifier itself, such as call.request.user?.id.',
  );
}

function checkedPrincipal(given: unknown, what: string, remedy: string): string | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  const text = identifierText(given);
  if (text !== undefined) return text;
  throw wrongOption(
    'principal',
    given,
    `${what}a string, a finite number, a bigint, an object with its own text, null or undefined`,
    remedy,
  );
}

function identifierText(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'object' && value !== null ? ownText(value) : undefined;
}

/** The text of an object that is an identifier, such as an ObjectId or a library's UUID. */
function ownText(value: object): string | undefined {
  if (Array.isArray(value)) return undefined;
  const methods = value as Readonly<Record<string, unknown>>;
  const own = methods['toHexString'] ?? methods['toString'];
  // The toString() of plain objects returns the same text for all of them.
  if (typeof own !== 'function' || own === Object.prototype.toString) return undefined;
  const text: unknown = own.call(value);
  return typeof text === 'string' && text !== '' ? text : undefined;
}
