import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { METHOD_METADATA, OPTIONS_METADATA, SKIPPED_METADATA } from '../options/metadata.js';

/**
 * Says that a handler may run twice: `@Idempotent()` on its class skips it, and `coverage()` lists
 * it as `skipped`. On a class, this applies to all its handlers.
 *
 * @throws {@link IdempotencyConfigurationError} if the same method or class has `@Idempotent()`
 *   too
 *
 * @example
 * ```ts
 * @SkipIdempotency()
 * @Post('search')
 * search(@Body() query: SearchDto) {}
 * ```
 */
export function SkipIdempotency(): MethodDecorator & ClassDecorator {
  const decorate = (target: object, _name?: string | symbol, descriptor?: PropertyDescriptor) => {
    const place = (descriptor?.value ?? target) as object;
    const decorated = descriptor === undefined ? OPTIONS_METADATA : METHOD_METADATA;
    if (Reflect.hasOwnMetadata(decorated, place)) throw contradiction(place);
    Reflect.defineMetadata(SKIPPED_METADATA, true, place);
  };
  return decorate as MethodDecorator & ClassDecorator;
}

function contradiction(place: object): IdempotencyConfigurationError {
  return wrongOption(
    '@SkipIdempotency()',
    `${(place as { readonly name: string }).name}, which has @Idempotent() too`,
    'one of the two decorators',
    'Remove one of them.',
  );
}
