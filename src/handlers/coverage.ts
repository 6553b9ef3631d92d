import { DECORATED_METADATA, METHOD_METADATA, OPTIONS_METADATA } from '../options/metadata.js';
import { isStateChanging } from './state-changing.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';

/**
 * The function that `@Idempotent()` made of a method; `undefined` for a method without it.
 *
 * @throws {@link IdempotencyConfigurationError} for a method that is meant to be protected, and is
 *   not: nobody would notice before something runs twice
 */
export function protectedMethod(
  target: NewableFunction,
  methodName: string,
  method: object,
): unknown {
  const made: unknown = Reflect.getMetadata(METHOD_METADATA, method);
  if (made !== undefined) return made;
  const given = `${target.name}.${methodName}`;
  if (Reflect.hasOwnMetadata(DECORATED_METADATA, ownerOf(target, methodName), methodName)) {
    throw new IdempotencyConfigurationError({
      option: '@Idempotent()',
      given,
      accepted: 'a method that no decorator above it replaces without copying its metadata',
      remedy: 'Put @Idempotent() above that decorator.',
    });
  }
  if (Reflect.hasMetadata(OPTIONS_METADATA, target) && isStateChanging(method)) {
    throw new IdempotencyConfigurationError({
      option: '@Idempotent()',
      given,
      accepted: 'a method of the class that carries the decorator',
      remedy:
        'The class inherits it, but has a method of its own: decorate the class, or the method.',
    });
  }
  return undefined;
}

/** The prototype that has the method. */
function ownerOf({ prototype }: NewableFunction, methodName: string): object {
  let owner = prototype as object;
  while (!Object.hasOwn(owner, methodName)) owner = Object.getPrototypeOf(owner) as object;
  return owner;
}
