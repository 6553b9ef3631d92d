import type { ApplicationConfig } from '@nestjs/core';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { Entrance } from './entrance.js';
import { expressPath, type RouteSource, routeTemplates } from './route-templates.js';

/** Nest's metadata key on `@Sse()` handlers. */
const SSE_METADATA = '__sse__';
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * The routes of a handler, one source for each module that mounts its controller; `undefined` when
 * it has none.
 *
 * @throws {@link IdempotencyConfigurationError} for a route that cannot be protected
 */
export function routeEntrance(
  sources: readonly RouteSource[],
  config: ApplicationConfig,
  warn: (warning: string) => void,
): Entrance | 'safe' | undefined {
  const templates = sources.flatMap((source) => routeTemplates(source, config));
  const [source] = sources;
  if (templates.length === 0 || source === undefined) return undefined;
  const name = `${source.controller.name}.${source.handler.name}`;
  if (Reflect.hasMetadata(SSE_METADATA, source.handler)) throw serverSentEvents(name);
  if (templates.every(({ method }) => SAFE_METHODS.has(method))) {
    warn(
      `@Idempotent() on ${name} has no effect: ${templates[0]!.method} does not change state and ignores keys.`,
    );
    return 'safe';
  }
  const scopes = new Map(
    templates.flatMap(({ path, scope }) => [
      [path, scope],
      [expressPath(path), scope],
    ]),
  );
  return { kind: 'http', scopes };
}

function serverSentEvents(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: `${name}, an @Sse() handler`,
    accepted: 'handlers whose reply has an end',
    remedy:
      'Remove @Idempotent() from the event stream, and put it on the route that starts the work.',
  });
}
