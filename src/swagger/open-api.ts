import type { OpenAPIObject } from '@nestjs/swagger';

export type { OpenAPIObject };

interface Reference {
  readonly $ref: string;
}

// Nest's package for version 11 exports none of these by name.
export type Operation = NonNullable<OpenAPIObject['paths'][string]['post']>;
export type Parameter = Exclude<NonNullable<Operation['parameters']>[number], Reference>;
export type Response = Exclude<NonNullable<Operation['responses'][string]>, Reference>;
export type Content = NonNullable<Response['content']>;
export type MediaType = Content[string];
export type Schema = NonNullable<MediaType['schema']>;
export type Header = Exclude<NonNullable<Response['headers']>[string], Reference>;

/** The object itself, or the component that it refers to. */
export function resolved<T extends object>(
  { components }: OpenAPIObject,
  given: T | Reference | undefined,
): T | undefined {
  if (given === undefined || !('$ref' in given)) return given as T | undefined;
  const [, kind = '', name = ''] = /^#\/components\/(\w+)\/(.+)$/.exec(given.$ref) ?? [];
  const ofKind = components?.[kind as keyof typeof components] as Record<string, T> | undefined;
  return ofKind?.[name];
}

/** Header names are not case-sensitive (RFC 9110, section 5.1). */
export function isSameHeader(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
