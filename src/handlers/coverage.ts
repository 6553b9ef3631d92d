import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { wrongOption } from '../engine/configuration-error.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../options/idempotency.options.js';
import type { CallKind, CallKinds } from '../keys/call.js';
import { METHOD_METADATA, SKIPPED_METADATA } from '../options/metadata.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import { classOf, methodsOf } from './declared-methods.js';
import {
  ENDPOINT_READERS,
  type EndpointReader,
  Endpoints,
  type HostedMethod,
  type Method,
} from './endpoint.js';
import { HandlerRegistry } from './handler-registry.js';
import type { ProtectedHandler } from './protected-handler.js';

/** A handler as {@link IdempotencyService.coverage} lists it. */
export interface CoverageEntry {
  /** What calls it: `job` is a scheduled method. */
  readonly kind: CallKinds[CallKind] | 'job';
  /** `ClassName.methodName`. */
  readonly name: string;
  /**
   * `idempotent` with `@Idempotent()`, `skipped` with `@SkipIdempotency()`; `none` for a handler
   * that changes state and has neither.
   */
  readonly protection: 'idempotent' | 'skipped' | 'none';
  /**
   * The namespaces of its keys. For a handler without protection, what it handles, such as
   * `POST /payments`.
   */
  readonly scopes: readonly string[];
  /** Outermost first; empty without protection. */
  readonly strategies: readonly string[];
}

/** Which handlers of an application are protected, and which change state without protection. */
@Injectable()
export class Coverage implements OnApplicationBootstrap {
  private readonly logger = new Logger('Idempotency');
  private readonly endpoints: Endpoints;

  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly discovery: DiscoveryService,
    @Inject(ENDPOINT_READERS) private readonly readers: readonly EndpointReader[],
    modules: ModulesContainer,
    config: ApplicationConfig,
    moduleRef: ModuleRef,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
  ) {
    this.endpoints = new Endpoints(readers, config, modules, moduleRef);
  }

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
    throw wrongOption(
      'coverage',
      mode,
      'if every handler that changes state is protected',
      `Add @Idempotent(), or @SkipIdempotency() if it may run twice, to ${names.join('; ')}.`,
    );
  }

  /** Every protected handler, and every other one that changes state. */
  list(): CoverageEntry[] {
    const entries = [...this.handlers.all()].map((handler) => this.entryOf(handler));
    const seen = new Set<Method>();
    const wrappers = [...this.discovery.getControllers(), ...this.discovery.getProviders()];
    for (const wrapper of wrappers) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      for (const [methodName, method] of methodsOf(type)) {
        if (seen.has(method) || Reflect.hasMetadata(METHOD_METADATA, method)) continue;
        if (!this.endpoints.changesState(method)) continue;
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
    const hosted = { type, modules: [host?.metatype], name, methodName, method };
    const protection = isSkipped ? 'skipped' : 'none';
    return { ...this.placeOf(hosted), name, protection, strategies: [] };
  }

  private placeOf(hosted: HostedMethod): Pick<CoverageEntry, 'kind' | 'scopes'> {
    for (const reader of this.readers) {
      const scopes = reader.answers?.(hosted, this.endpoints) ?? [];
      if (scopes.length > 0) return { kind: reader.word, scopes };
    }
    return { kind: 'method', scopes: [hosted.name] };
  }

  private entryOf(handler: ProtectedHandler): CoverageEntry {
    const { kind, name, scopes, layers, isScheduled } = handler;
    const word = this.readers.find((reader) => reader.kind === kind)?.word ?? 'method';
    return {
      kind: isScheduled ? 'job' : word,
      name,
      protection: 'idempotent',
      scopes,
      strategies: layers.map(({ policy }) => policy.strategy),
    };
  }
}
