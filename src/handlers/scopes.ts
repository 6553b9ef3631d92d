import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { Entrance } from './entrance.js';

/** What of a layer decides on its scope. */
interface ScopedLayer {
  readonly strategy: string;
  readonly options: IdempotentOptions;
}

/** The first scope of a handler; with several routes, also that of each path. */
export function scopesOf(
  { scopes }: Entrance,
  { scope }: IdempotentOptions,
): [string, ReadonlyMap<string, string> | undefined] {
  if (scope !== undefined) return [scope, undefined];
  if (typeof scopes === 'string') return [scopes, undefined];
  const [first] = scopes.values();
  return [first ?? '', scopes.size > 1 ? scopes : undefined];
}

/** Two layers with the same keys would wait for each other for ever. */
export function checkScopes(layers: readonly ScopedLayer[]): void {
  const seen = new Set<string>();
  for (const { strategy, options } of layers) {
    const scope = options.scope ?? `#${strategy}`;
    if (seen.has(scope)) {
      throw new IdempotencyConfigurationError({
        option: 'scope',
        given: options.scope ?? `two layers of strategy '${strategy}'`,
        accepted: 'layers that differ in their strategy, or in their scope',
        remedy: 'Remove one of the two decorators, or give one of them a `scope` of its own.',
      });
    }
    seen.add(scope);
  }
}
