import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { Entrance } from './entrance.js';
import type { ProviderMethod } from './provider-method.js';

/** What the decorators of `@nestjs/graphql` leave on a method, and `@Resolver()` on its class. */
const TYPE = 'graphql:resolver_type';
const NAME = 'graphql:resolver_name';
const IS_PROPERTY = 'graphql:resolve_property';
const IS_REFERENCE = 'graphql:resolve_reference';

const MUTATION = 'Mutation';
const READING: ReadonlySet<unknown> = new Set(['Query', 'Subscription']);

/** True for a class with `@Resolver()`. */
export function isResolver(type: NewableFunction): boolean {
  return Reflect.hasMetadata(TYPE, type);
}

/** True for what `@Mutation()` has made of a method. */
export function isMutation(method: object): boolean {
  return Reflect.getMetadata(TYPE, method) === MUTATION;
}

/**
 * The field that a method of a provider resolves; `undefined` when it resolves none.
 *
 * @throws {@link IdempotencyConfigurationError} for one that cannot be protected
 */
export function fieldEntrance(
  { type, name, methodName, method }: ProviderMethod,
  warn: (warning: string) => void,
): Entrance | 'safe' | undefined {
  if (Reflect.hasMetadata(IS_PROPERTY, method) || Reflect.hasMetadata(IS_REFERENCE, method))
    throw fieldOfObject(name);
  // As Nest does: the class may say it for all its methods.
  const root: unknown = Reflect.getMetadata(TYPE, method) || Reflect.getMetadata(TYPE, type);
  if (READING.has(root)) {
    warn(
      `@Idempotent() on ${name} has no effect: a ${String(root)} does not change state and ignores keys.`,
    );
    return 'safe';
  }
  if (root !== MUTATION) return undefined;
  const field = (Reflect.getMetadata(NAME, method) as string | undefined) ?? String(methodName);
  return { kind: 'graphql', scopes: `${MUTATION}.${field}` };
}

function fieldOfObject(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: `${name}, which resolves a field of an object`,
    accepted: 'mutations, which change state once for a request',
    remedy: 'Put @Idempotent() on the mutation, or on the method of a service that it calls.',
  });
}
