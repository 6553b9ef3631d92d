import { Inject, Injectable } from '@nestjs/common';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import { parseDuration } from '../engine/duration.js';
import type { OperationPolicy } from '../engine/operation.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  type IdempotentOptions,
  MODULE_DEFAULTS,
} from '../idempotency.options.js';
import { MODULE_OPTIONS_TOKEN } from '../idempotency.module-definition.js';
import { resolveFingerprint } from '../keys/fingerprint.js';
import { resolvePrincipal } from '../keys/principal.js';
import { resolveKey } from '../keys/resolve-key.js';
import { StrategyRegistry } from '../strategies/strategy-registry.js';
import type { ProtectedHandler } from './protected-handler.js';

export interface HandlerDeclaration {
  /** `ClassName.methodName`. */
  readonly name: string;
  /** See {@link ProtectedHandler.method}. */
  readonly method: unknown;
  /** The options of its class and its own, outermost first. */
  readonly options: readonly IdempotentOptions[];
  /** Its scopes by route path, or its only one. */
  readonly scopes: ReadonlyMap<string, string> | string;
}

const CHOICES = {
  onDuplicate: ['replay', 'reject'],
  onAbandoned: ['rerun', 'hold'],
  onStoreFailure: ['reject', 'proceed'],
} as const satisfies { [Option in keyof IdempotentOptions]?: readonly IdempotentOptions[Option][] };

const KNOWN_OPTIONS = [
  ...Object.keys(DEFAULTS),
  'key',
  'fingerprint',
  'onError',
  'recover',
  'scope',
  'principal',
];

/** Makes the complete read-only form of options, once, when the application boots. */
@Injectable()
export class HandlerResolver {
  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly moduleOptions: IdempotencyModuleOptions,
    private readonly strategies: StrategyRegistry,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} */
  resolve(declaration: HandlerDeclaration): ProtectedHandler {
    const options = this.merged(declaration.name, declaration.options);
    const context = { handler: declaration.name, options };
    const plan = this.strategies
      .get(options.strategy ?? DEFAULTS.strategy, declaration.name)
      .plan(context);
    const key = resolveKey(plan.key, {
      headerName: this.moduleOptions.header ?? MODULE_DEFAULTS.header,
    });
    const comparesContent = plan.comparesContent && !key.coversContent;
    const [scope, scopesByPath] = scopesOf(declaration, options);
    return {
      name: declaration.name,
      method: declaration.method,
      scope,
      scopesByPath,
      key,
      required: options.required ?? DEFAULTS.required,
      policy: this.policy(options, plan.refuseUnknown),
      keepsReply: plan.keepsReply,
      fingerprint: comparesContent ? resolveFingerprint(options.fingerprint) : () => '',
      principal: resolvePrincipal(options.principal ?? this.moduleOptions.principal),
      onError: options.onError,
      recover: options.recover,
    };
  }

  /**
   * The module's defaults with options over them, outermost first.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  merged(handler: string, options: readonly IdempotentOptions[]): IdempotentOptions {
    const { defaults } = this.moduleOptions;
    const merged: IdempotentOptions = Object.assign({}, defaults, ...options.map(withoutUndefined));
    this.check(merged, handler);
    return merged;
  }

  /** Also for operations that are no handler's: `IdempotencyService.run()`. */
  policy(
    options: IdempotentOptions,
    refuseUnknown?: OperationPolicy['refuseUnknown'],
  ): OperationPolicy {
    return {
      leaseMs: parseDuration('lease', options.lease ?? DEFAULTS.lease),
      retentionMs: parseDuration('ttl', options.ttl ?? DEFAULTS.ttl),
      waitMs: parseDuration('wait', options.wait ?? DEFAULTS.wait, { zero: true }),
      retryAfterMs: parseDuration('retryAfter', options.retryAfter ?? DEFAULTS.retryAfter, {
        zero: true,
      }),
      onDuplicate: options.onDuplicate ?? DEFAULTS.onDuplicate,
      onAbandoned: options.onAbandoned ?? DEFAULTS.onAbandoned,
      onStoreFailure: options.onStoreFailure ?? DEFAULTS.onStoreFailure,
      refuseUnknown,
    };
  }

  private check(options: IdempotentOptions, handler: string): void {
    for (const option of Object.keys(options)) {
      if (!KNOWN_OPTIONS.includes(option)) {
        const accepted = KNOWN_OPTIONS.join(', ');
        throw new IdempotencyConfigurationError({
          option: `${option} of ${handler}`,
          given: (options as Record<string, unknown>)[option],
          accepted,
          remedy: 'Remove the option, or correct its name.',
        });
      }
    }
    for (const [option, accepted] of Object.entries(CHOICES)) {
      const given = options[option as keyof typeof CHOICES];
      if (given !== undefined && !(accepted as readonly unknown[]).includes(given))
        throw wrongOption(
          option,
          handler,
          given,
          accepted.map((choice) => `'${choice}'`).join(' or '),
        );
    }
    for (const option of ['onError', 'recover', 'principal'] as const)
      if (options[option] !== undefined && typeof options[option] !== 'function')
        throw wrongOption(option, handler, options[option], 'a function');
    if (options.required !== undefined && typeof options.required !== 'boolean')
      throw wrongOption('required', handler, options.required, 'true or false');
    if (options.scope !== undefined && (typeof options.scope !== 'string' || options.scope === ''))
      throw wrongOption('scope', handler, options.scope, 'a string that is not empty');
  }
}

function wrongOption(
  option: string,
  handler: string,
  given: unknown,
  accepted: string,
): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: `${option} of ${handler}`,
    given,
    accepted,
    remedy: `Correct the ${option} that is given to @Idempotent(), or leave it out for the default.`,
  });
}

function scopesOf(
  { scopes }: HandlerDeclaration,
  { scope }: IdempotentOptions,
): [string, ReadonlyMap<string, string> | undefined] {
  if (scope !== undefined) return [scope, undefined];
  if (typeof scopes === 'string') return [scopes, undefined];
  const [first] = scopes.values();
  return [first ?? '', scopes.size > 1 ? scopes : undefined];
}

/** An option that is there but `undefined` must not hide the one below it. */
function withoutUndefined(options: IdempotentOptions): IdempotentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
