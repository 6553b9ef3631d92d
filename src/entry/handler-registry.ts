import { type ExecutionContext, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryService,
  MetadataScanner,
  ModulesContainer,
} from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { OPTIONS_METADATA } from '../decorators/metadata.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../idempotency.options.js';
import { protectedMethod } from './coverage.js';
import { HandlerResolver } from './handler-resolver.js';
import { expressPath, routeTemplates } from './http/route-templates.js';
import type { ProtectedHandler } from './protected-handler.js';

/** Nest's metadata key on `@Sse()` handlers. */
const SSE_METADATA = '__sse__';
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

type Method = (...args: never[]) => unknown;

/** The handler that has a scope to itself. */
interface ScopeOwner {
  readonly controller: NewableFunction;
  readonly name: string;
}

/** All protected handlers of an application, found and checked before the first call. */
@Injectable()
export class HandlerRegistry implements OnModuleInit {
  private readonly logger = new Logger('Idempotency');
  /** By method, then by class: a method may be inherited by several controllers. */
  private readonly handlers = new Map<unknown, Map<unknown, ProtectedHandler>>();
  /** Methods of providers, by what the decorator made of them. */
  private readonly methods = new Map<unknown, Map<unknown, ProtectedHandler>>();
  private readonly scopes = new Set<string>();
  private readonly ownersByScope = new Map<string, ScopeOwner>();
  private readonly checks: (() => Promise<void>)[] = [];
  private isComplete = false;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly resolver: HandlerResolver,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} for the first wrong declaration */
  async onModuleInit(): Promise<void> {
    this.discover();
    for (const check of this.checks.splice(0)) await check();
  }

  /** How the handler of a context is protected; `undefined` when it is not. */
  of(context: ExecutionContext): ProtectedHandler | undefined {
    return this.handlers.get(context.getHandler())?.get(context.getClass());
  }

  /** How a method of a provider is protected; `undefined` for a handler that frameworks call. */
  ofMethod(method: object, instance: object): ProtectedHandler | undefined {
    // Other modules may call it while the application boots.
    this.discover();
    const byClass = this.methods.get(method);
    if (byClass === undefined) return undefined;
    for (
      let type: object | null = instance;
      (type = Object.getPrototypeOf(type) as object | null);
    ) {
      const handler = byClass.get(type.constructor);
      if (handler !== undefined) return handler;
    }
    return undefined;
  }

  /** True for the scope of an HTTP handler. */
  hasScope(scope: string): boolean {
    return this.scopes.has(scope);
  }

  private discover(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    this.resolver.checkDefaults();
    for (const wrapper of this.discovery.getControllers())
      this.register(wrapper, (name, method) => this.routes(wrapper, name, method));
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      if (Reflect.hasMetadata(OPTIONS_METADATA, type)) throw notAController(type.name);
      this.register(wrapper, (name, method) => this.method(type, name, method));
    }
  }

  private register(
    wrapper: InstanceWrapper,
    resolve: (name: string, method: Method) => ProtectedHandler | undefined,
  ): void {
    const metatype = classOf(wrapper);
    if (metatype === undefined) return;
    const prototype = metatype.prototype as Record<string, unknown>;
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const method = prototype[name] as Method;
      if (protectedMethod(metatype, name, method) === undefined) continue;
      const handler = resolve(name, method);
      if (handler === undefined) continue;
      const byClass = this.handlers.get(method) ?? new Map<unknown, ProtectedHandler>();
      this.handlers.set(method, byClass.set(metatype, handler));
    }
  }

  private method(type: NewableFunction, methodName: string, method: Method): undefined {
    const name = `${type.name}.${methodName}`;
    const made = protectedMethod(type, methodName, method);
    const layers = Reflect.getMetadata(OPTIONS_METADATA, method) as readonly IdempotentOptions[];
    const declaration = { name, method: made, classOptions: {}, layers, scopes: name };
    const { handler, check } = this.resolver.resolve({ ...declaration, kind: 'method' });
    this.checks.push(check);
    if (layers[0]?.scope === undefined) this.claimScope(type, name, handler.scope);
    const byClass = this.methods.get(made) ?? new Map<unknown, ProtectedHandler>();
    this.methods.set(made, byClass.set(type, handler));
  }

  private routes(
    wrapper: InstanceWrapper,
    methodName: string,
    handler: Method,
  ): ProtectedHandler | undefined {
    const controller = wrapper.metatype as NewableFunction;
    const name = `${controller.name}.${methodName}`;
    const source = {
      controller,
      handler,
      module: wrapper.host?.metatype,
      applicationId: String((this.modules as { applicationId?: string }).applicationId ?? ''),
    };
    const templates = routeTemplates(source, this.config);
    if (templates.length === 0) throw notARoute(name);
    if (Reflect.hasMetadata(SSE_METADATA, handler)) throw serverSentEvents(name);
    if (templates.every(({ method }) => SAFE_METHODS.has(method))) {
      this.logger.warn(
        `@Idempotent() on ${name} has no effect: ${templates[0]!.method} does not change state and ignores keys.`,
      );
      return undefined;
    }
    const classOptions = (Reflect.getMetadata(OPTIONS_METADATA, controller) ??
      {}) as IdempotentOptions;
    const layers = Reflect.getMetadata(OPTIONS_METADATA, handler) as readonly IdempotentOptions[];
    const scopes = new Map(
      templates.flatMap(({ path, scope }) => [
        [path, scope],
        [expressPath(path), scope],
      ]),
    );
    const method = protectedMethod(controller, methodName, handler);
    const declaration = { name, method, classOptions, layers, scopes, kind: 'http' as const };
    const { handler: resolved, check } = this.resolver.resolve(declaration);
    this.checks.push(check);
    const ofStrategies = resolved.layers.flatMap(({ scope }) => scope ?? []);
    for (const scope of [resolved.scope, ...scopes.values(), ...ofStrategies])
      this.scopes.add(scope);
    if ((layers[0]?.scope ?? classOptions.scope) === undefined)
      for (const { scope } of templates) this.claimScope(controller, name, scope);
    return resolved;
  }

  private claimScope(controller: NewableFunction, name: string, scope: string): void {
    const owner = this.ownersByScope.get(scope);
    // Classes of different modules may have the same name.
    if (owner !== undefined && (owner.controller !== controller || owner.name !== name)) {
      throw new IdempotencyConfigurationError({
        option: `scope of ${name}`,
        given: scope,
        accepted: `a scope that no other handler has (${owner.name} has this one)`,
        remedy:
          'Give one of the two a `scope` of its own, or both the same one if they are to share their records.',
      });
    }
    this.ownersByScope.set(scope, { controller, name });
  }
}

/** The class of a controller or provider, also of one that is given or made by a factory. */
function classOf({
  metatype,
  isNotMetatype,
  instance,
}: InstanceWrapper): NewableFunction | undefined {
  const type: unknown =
    isNotMetatype && typeof instance === 'object' && instance !== null
      ? (Object.getPrototypeOf(instance) as { constructor?: unknown } | null)?.constructor
      : metatype;
  if (typeof type !== 'function' || type === Object) return undefined;
  const prototype: unknown = type.prototype;
  return typeof prototype === 'object' && prototype !== null ? type : undefined;
}

function notAController(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: name,
    accepted: 'a controller, or single methods of a provider',
    remedy: 'Put the decorator on the methods that must not run twice.',
  });
}

function notARoute(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: name,
    accepted: 'HTTP route handlers of controllers',
    remedy: 'Put the decorator on the route, or protect other code with IdempotencyService.run().',
  });
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
