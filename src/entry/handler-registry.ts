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
import { expressPath, type RouteTemplate, routeTemplates } from './http/route-templates.js';
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
  private readonly scopes = new Set<string>();
  private readonly ownersByScope = new Map<string, ScopeOwner>();
  private readonly checks: (() => Promise<void>)[] = [];

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly resolver: HandlerResolver,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} for the first wrong declaration */
  async onModuleInit(): Promise<void> {
    this.resolver.checkDefaults();
    for (const wrapper of this.discovery.getControllers())
      this.register(wrapper, (name, method) => this.routes(wrapper, name, method));
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type === undefined) continue;
      if (Reflect.hasMetadata(OPTIONS_METADATA, type)) throw notARoute(type.name);
      this.register(wrapper, (name) => {
        throw notARoute(`${type.name}.${name}`);
      });
    }
    for (const check of this.checks.splice(0)) await check();
  }

  /** How the handler of a context is protected; `undefined` when it is not. */
  of(context: ExecutionContext): ProtectedHandler | undefined {
    return this.handlers.get(context.getHandler())?.get(context.getClass());
  }

  /** True for the scope of an HTTP handler. */
  hasScope(scope: string): boolean {
    return this.scopes.has(scope);
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
    const declaration = { name, method, classOptions, layers, scopes };
    const { handler: resolved, check } = this.resolver.resolve(declaration);
    this.checks.push(check);
    const ofStrategies = resolved.layers.flatMap(({ scope }) => scope ?? []);
    for (const scope of [resolved.scope, ...scopes.values(), ...ofStrategies])
      this.scopes.add(scope);
    if ((layers[0]?.scope ?? classOptions.scope) === undefined)
      this.claimScopes(controller, name, templates);
    return resolved;
  }

  private claimScopes(
    controller: NewableFunction,
    name: string,
    templates: readonly RouteTemplate[],
  ): void {
    for (const { scope } of templates) {
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
