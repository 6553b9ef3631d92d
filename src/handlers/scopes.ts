import { Logger } from '@nestjs/common';
import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { KEEP_NAMES, keepsClassNames } from '../replies/known-types.js';
import type { Endpoint, ScopeOfRequest } from './endpoint.js';

/** The part of a layer that decides its scope. */
interface ScopedLayer {
  readonly strategy: string;
  readonly options: IdempotentOptions;
}

/** The first scope of a handler, and if there are several, which of them a request belongs to. */
export function scopesOf(
  { scopes, scopeOf }: Endpoint,
  { scope }: IdempotentOptions,
): [string, readonly string[], ScopeOfRequest | undefined] {
  return scope === undefined ? [scopes[0] ?? '', scopes, scopeOf] : [scope, [scope], undefined];
}

/** Two layers with the same keys would wait for each other forever. */
export function checkScopes(layers: readonly ScopedLayer[]): void {
  const seen = new Set<string>();
  for (const { strategy, options } of layers) {
    const scope = options.scope ?? `#${strategy}`;
    if (seen.has(scope)) {
      throw wrongOption(
        'scope',
        options.scope ?? `two layers of strategy '${strategy}'`,
        'layers with different strategies or scopes',
        'Remove one of the two decorators, or give one of them its own `scope`.',
      );
    }
    seen.add(scope);
  }
}

/** Bundlers make names of one or two letters. Applications hardly do. */
const LONGEST_SHORTENED = 2;

/** A handler that has a scope. */
interface ScopeOwner {
  readonly type: NewableFunction;
  /** `ClassName.methodName`. */
  readonly name: string;
  /** The scope was set with `scope`, so other handlers may be given the same one. */
  readonly isNamed: boolean;
}

/**
 * Knows which handler has which scope. Two that share one by accident would answer for each other.
 */
export class ScopeOwners {
  private readonly owners = new Map<string, ScopeOwner>();
  private readonly shortened: string[] = [];

  /**
   * Registers a handler's default scope, which no other handler may have.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  claim(type: NewableFunction, name: string, scope: string): void {
    if (scope.endsWith(name)) this.checkName(type, name, scope);
    this.add(scope, { type, name, isNamed: false });
  }

  /**
   * Registers a scope that a handler was given. Others may be given it too, but none may have it by
   * default.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  named(type: NewableFunction, name: string, scope: string): void {
    this.add(scope, { type, name, isNamed: true });
  }

  /** Without a route, the name of the class is a part of the scope. */
  private checkName(type: NewableFunction, name: string, scope: string): void {
    if (!keepsClassNames())
      throw wrongOption(
        `scope of ${name}`,
        `${scope}, in a bundle that shortens the names of classes`,
        'a scope that stays the same from build to build',
        `Give the handler a \`scope\`, or keep the names: ${KEEP_NAMES}.`,
      );
    if (type.name.length <= LONGEST_SHORTENED) this.shortened.push(scope);
  }

  /** Warns of scopes that look as if a bundler had made their names. */
  reportShortened(): void {
    const scopes = this.shortened.splice(0).map((scope) => `"${scope}"`);
    if (scopes.length === 0) return;
    new Logger('Idempotency').warn(
      `The name of a class is a part of these scopes: ${scopes.join(', ')}. If a bundler has shortened it, another build forgets all records of the handler. Give the handler a \`scope\`, or keep the names: ${KEEP_NAMES}.`,
    );
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
      'Give one of the two its own `scope`, or both the same one if they should share their records.',
    );
  }
}
