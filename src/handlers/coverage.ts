import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../options/idempotency.options.js';
import { METHOD_METADATA, SKIPPED_METADATA } from '../options/metadata.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import { classOf, type Method, methodsOf } from './declared-methods.js';
import type { Entrance } from './entrance.js';
import { fieldEntrance } from './field-entrance.js';
import { HandlerRegistry } from './handler-registry.js';
import { messageEntrance } from './message-entrance.js';
import type { ProtectedHandler } from './protected-handler.js';
import { routeTemplates } from './route-templates.js';
import { isStateChanging } from './state-changing.js';

/** A handler as {@link IdempotencyService.coverage} lists it. */
export interface CoverageEntry {
  /** What calls it: `job` is a scheduled method. */
  readonly kind: 'route' | 'message' | 'mutation' | 'job' | 'method';
  /** `ClassName.methodName`. */
  readonly name: string;
  /**
   * `idempotent` with `@Idempotent()`, `skipped` with `@SkipIdempotency()`; `none` for a handler that
   * changes state and says neither.
   */
  readonly protection: 'idempotent' | 'skipped' | 'none';
  /** The namespaces of its keys; for a handler without protection, what it answers, such as `POST /payments`. */
  readonly scopes: readonly string[];
  /** Outermost first; empty without protection. */
  readonly strategies: readonly string[];
}

const KINDS = { http: 'route', rpc: 'message', graphql: 'mutation', method: 'method' } as const;

/** Which handlers of an application are protected, and which change state without protection. */
@Injectable()
export class Coverage implements OnApplicationBootstrap {
  private readonly logger = new Logger('Idempotency');

  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly discovery: DiscoveryService,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} with `coverage: 'error'` */
  onApplicationBootstrap(): void {
    const mode = this.options.coverage ?? MODULE_DEFAULTS.coverage;
    if (mode === 'off') return;
    const missing = this.list().filter(({ protection }) => protection === 'none');
    if (missing.length === 0) return;
    const names = missing.map(({ name, scopes }) => `${name} (${scopes.join(', ')})`);
    if (mode === 'log') {
      this.logger.warn(`These handlers change state without @Idempotent(): ${names.join('; ')}`);
      return;
    }
    throw new IdempotencyConfigurationError({
      option: 'coverage',
      given: mode,
      accepted: 'with handlers of which each that changes state is protected',
      remedy: `Put @Idempotent(), or @SkipIdempotency() where it may run twice, on ${names.join('; ')}.`,
    });
  }

  /** Every protected handler, and every other one that changes state. */
  list(): CoverageEntry[] {
    const entries = [...this.handlers.all()].map(entryOf);
    const seen = new Set<Method>();
    const wrappers = [...this.discovery.getControllers(), ...this.discovery.getProviders()];
    for (const wrapper of wrappers) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      for (const [methodName, method] of methodsOf(type)) {
        if (seen.has(method) || Reflect.hasMetadata(METHOD_METADATA, method)) continue;
        if (!isStateChanging(method)) continue;
        seen.add(method);
        entries.push(this.unprotected(type, String(methodName), method, wrapper));
      }
    }
    return entries;
  }

  private unprotected(
    type: NewableFunction,
    methodName: string,
    method: Method,
    { host }: InstanceWrapper,
  ): CoverageEntry {
    const name = `${type.name}.${methodName}`;
    const isSkipped =
      Reflect.hasMetadata(SKIPPED_METADATA, method) || Reflect.hasMetadata(SKIPPED_METADATA, type);
    const found = this.placeOf(type, methodName, method, host?.metatype);
    return { ...found, name, protection: isSkipped ? 'skipped' : 'none', strategies: [] };
  }

  private placeOf(
    type: NewableFunction,
    methodName: string,
    method: Method,
    module: NewableFunction | undefined,
  ): Pick<CoverageEntry, 'kind' | 'scopes'> {
    const name = `${type.name}.${methodName}`;
    const { applicationId = '' } = this.modules as { applicationId?: string };
    const source = { controller: type, handler: method, module, applicationId };
    const routes = routeTemplates(source, this.config);
    if (routes.length > 0) return { kind: 'route', scopes: routes.map(({ scope }) => scope) };
    const message = messageEntrance(name, method);
    if (message !== undefined) return { kind: 'message', scopes: scopesIn(message) };
    const field = fieldEntrance({ type, name, methodName, method }, () => undefined);
    return { kind: 'mutation', scopes: typeof field === 'object' ? scopesIn(field) : [name] };
  }
}

function scopesIn({ scopes }: Entrance): readonly string[] {
  return typeof scopes === 'string' ? [scopes] : [...scopes.values()];
}

function entryOf(handler: ProtectedHandler): CoverageEntry {
  const { kind, name, scope, scopesByPath, layers, isScheduled } = handler;
  return {
    kind: isScheduled ? 'job' : KINDS[kind],
    name,
    protection: 'idempotent',
    scopes: [...new Set(scopesByPath?.values() ?? [scope])],
    strategies: layers.map(({ policy }) => policy.strategy),
  };
}
