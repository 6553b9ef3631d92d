import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { Endpoint, ScopeOfRequest } from './endpoint.js';

/** What of a layer decides on its scope. */
interface ScopedLayer {
  readonly strategy: string;
  readonly options: IdempotentOptions;
}

/** The first scope of a handler; with several, also which of them a request belongs to. */
export function scopesOf(
  { scopes, scopeOf }: Endpoint,
  { scope }: IdempotentOptions,
): [string, readonly string[], ScopeOfRequest | undefined] {
  return scope === undefined ? [scopes[0] ?? '', scopes, scopeOf] : [scope, [scope], undefined];
}

/** Two layers with the same keys would wait for each other for ever. */
export function checkScopes(layers: readonly ScopedLayer[]): void {
  const seen = new Set<string>();
  for (const { strategy, options } of layers) {
    const scope = options.scope ?? `#${strategy}`;
    if (seen.has(scope)) {
      throw wrongOption(
        'scope',
        options.scope ?? `two layers of strategy '${strategy}'`,
        'layers that differ in their strategy, or in their scope',
        'Remove one of the two decorators, or give one of them a `scope` of its own.',
      );
    }
    seen.add(scope);
  }
}

/** A handler that has a scope. */
interface ScopeOwner {
  readonly type: NewableFunction;
  /** `ClassName.methodName`. */
  readonly name: string;
  /** It was given the scope: others may be given the same one. */
  readonly isNamed: boolean;
}

/** Which handler has which scope: two that share one by accident would answer for each other. */
export class ScopeOwners {
  private readonly owners = new Map<string, ScopeOwner>();

  /**
   * The scope that a handler has by itself, which nobody else may have.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  claim(type: NewableFunction, name: string, scope: string): void {
    this.add(scope, { type, name, isNamed: false });
  }

  /**
   * A scope that a handler was given, which others may be given too, but none may have by itself.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  named(type: NewableFunction, name: string, scope: string): void {
    this.add(scope, { type, name, isNamed: true });
  }

  private add(scope: string, owner: ScopeOwner): void {
    const other = this.owners.get(scope);
    this.owners.set(scope, other ?? owner);
    if (other === undefined || (other.isNamed && owner.isNamed)) return;
    // Classes of different modules may have the same name.
    if (other.type === owner.type && other.name === owner.name) return;
    throw wrongOption(
      `scope of ${owner.name}`,
      scope,
      `a scope that no other handler has (${other.name} has this one)`,
      'Give one of the two a `scope` of its own, or both the same one if they are to share their records.',
    );
  }
}
