import { ClassSerializerInterceptor } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import { RECORDING_METADATA } from '../options/metadata.js';
import { wrongOption } from '../engine/configuration-error.js';

/** Nest's metadata key of `@UseInterceptors()`. */
export const INTERCEPTORS = '__interceptors__';

/**
 * If values are recorded, a replay is a plain copy. An outer serializer finds no class on it and
 * would reveal what `@Exclude()` hides. An inner serializer has already removed it.
 *
 * @throws {@link IdempotencyConfigurationError} for such a handler
 */
export function checkSerializer(
  name: string,
  type: NewableFunction,
  method: object,
  config: ApplicationConfig,
): void {
  const own = listOf(method);
  const at = own.findIndex((one) => recordingClass(one) !== undefined);
  if (own.slice(at + 1).some(isSerializer)) return;
  const requestScoped = config.getGlobalRequestInterceptors().map(({ metatype }) => metatype);
  const outer = [
    ...config.getGlobalInterceptors(),
    ...requestScoped,
    ...listOf(type),
    ...own.slice(0, at),
  ];
  if (!outer.some(isSerializer)) return;
  throw wrongOption(
    '@Idempotent()',
    `${name}, with a ClassSerializerInterceptor around it`,
    'a handler whose values are serialized before they are recorded',
    'Put @UseInterceptors(ClassSerializerInterceptor) above @Idempotent() on the method itself.',
  );
}

function listOf(target: object): readonly unknown[] {
  return (Reflect.getMetadata(INTERCEPTORS, target) ?? []) as readonly unknown[];
}

/** The class of an interceptor that records; `undefined` for any other interceptor. */
export function recordingClass(interceptor: unknown): NewableFunction | undefined {
  const type: unknown = typeof interceptor === 'object' ? interceptor?.constructor : interceptor;
  const isRecording = typeof type === 'function' && Reflect.hasMetadata(RECORDING_METADATA, type);
  return isRecording ? type : undefined;
}

/** Interceptors are declared as classes or as instances. */
function isSerializer(interceptor: unknown): boolean {
  return (
    interceptor instanceof ClassSerializerInterceptor ||
    interceptor === ClassSerializerInterceptor ||
    (typeof interceptor === 'function' &&
      interceptor.prototype instanceof ClassSerializerInterceptor)
  );
}
