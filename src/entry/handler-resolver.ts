import { Inject, Injectable } from '@nestjs/common';
import { parseDuration } from '../engine/duration.js';
import type { OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { IdempotencyStore } from '../engine/store.js';
import { IDEMPOTENCY_STORE } from '../idempotency.constants.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  type IdempotentOptions,
  MODULE_DEFAULTS,
} from '../idempotency.options.js';
import { MODULE_OPTIONS_TOKEN } from '../idempotency.module-definition.js';
import { type ResolvedFingerprint, resolveFingerprint } from '../keys/fingerprint.js';
import { resolvePrincipal } from '../keys/principal.js';
import { resolveKey } from '../keys/resolve-key.js';
import type { StrategyPlan } from '../strategies/strategy.js';
import { StrategyRegistry } from '../strategies/strategy-registry.js';
import { checkDefaults, checkOptions, checkRunOptions, located } from './options-check.js';
import type { ProtectedHandler } from './protected-handler.js';
import { resolveTransaction } from './transaction-option.js';

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

/** Makes the complete read-only form of options, once, when the application boots. */
@Injectable()
export class HandlerResolver {
  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly moduleOptions: IdempotencyModuleOptions,
    @Inject(IDEMPOTENCY_STORE) private readonly store: IdempotencyStore,
    private readonly strategies: StrategyRegistry,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} */
  resolve(declaration: HandlerDeclaration): ProtectedHandler {
    return located(
      (option) => `${option} of ${declaration.name}`,
      () => this.resolved(declaration),
    );
  }

  private transaction(options: IdempotentOptions): OperationRequest['transaction'] {
    return resolveTransaction(options, this.store);
  }

  /**
   * Checks the module's defaults, whether or not a handler uses them.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  checkDefaults(): void {
    const { defaults = {} } = this.moduleOptions;
    located(
      (option) => `defaults.${option}`,
      () => {
        checkDefaults(defaults);
        this.policy(defaults);
        this.transaction(defaults);
        resolveFingerprint(defaults.fingerprint);
        this.strategies.get(defaults.strategy ?? DEFAULTS.strategy);
      },
    );
  }

  private resolved(declaration: HandlerDeclaration): ProtectedHandler {
    const options = this.withDefaults(declaration.options);
    const context = { handler: declaration.name, options };
    const plan = this.strategies.get(options.strategy ?? DEFAULTS.strategy).plan(context);
    const key = resolveKey(plan.key, {
      headerName: this.moduleOptions.header ?? MODULE_DEFAULTS.header,
    });
    const fingerprint = resolveFingerprint(options.fingerprint);
    const [scope, scopesByPath] = scopesOf(declaration, options);
    return {
      name: declaration.name,
      transaction: this.transaction(options),
      method: declaration.method,
      scope,
      scopesByPath,
      key,
      required: options.required ?? DEFAULTS.required,
      policy: this.policy(options, plan.refuseUnknown),
      keepsReply: plan.keepsReply,
      fingerprint: key.coversContent ? matchesAll : fingerprintFor(plan, fingerprint),
      principal: resolvePrincipal(options.principal ?? this.moduleOptions.principal),
      onError: options.onError,
      recover: options.recover,
    };
  }

  /**
   * What `IdempotencyService.run()` is given, complete.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  resolveRun(
    given: IdempotentOptions,
  ): Pick<ProtectedHandler, 'policy' | 'transaction' | 'onError' | 'recover'> {
    return located(
      (option) => `${option} of IdempotencyService.run()`,
      () => {
        checkRunOptions(withoutUndefined(given));
        const options = this.withDefaults([given]);
        const { onError, recover } = options;
        const transaction = this.transaction(options);
        return { policy: this.policy(options), transaction, onError, recover };
      },
    );
  }

  /** The module's defaults with options over them, outermost first. */
  private withDefaults(options: readonly IdempotentOptions[]): IdempotentOptions {
    const { defaults } = this.moduleOptions;
    const merged: IdempotentOptions = Object.assign({}, defaults, ...options.map(withoutUndefined));
    checkOptions(merged);
    return merged;
  }

  private policy(
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
}

const matchesAll = (): string => '';

/** A reply that is kept is never given to another anonymous caller, whatever the strategy. */
function fingerprintFor(plan: StrategyPlan, declared: ResolvedFingerprint): ResolvedFingerprint {
  if (plan.comparesContent) return declared;
  return plan.keepsReply ? resolveFingerprint(false) : matchesAll;
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
