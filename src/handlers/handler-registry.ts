import { type ExecutionContext, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryService,
  MetadataScanner,
  ModulesContainer,
} from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { OPTIONS_METADATA } from '../options/metadata.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { protectedMethod } from './coverage.js';
import type { Entrance } from './entrance.js';
import { fieldEntrance, isResolver } from './field-entrance.js';
import { HandlerResolver } from './handler-resolver.js';
import { routeEntrance } from './route-entrance.js';
import { CronJobs } from './cron-jobs.js';
import { methodEntrance } from './method-entrance.js';
import type { ProtectedHandler } from './protected-handler.js';
import { messageEntrance } from './message-entrance.js';
import { checkSerializer } from './serializer-check.js';

type Method = (...args: never[]) => unknown;

/** By method, then by class: a method may be inherited by several classes. */
type HandlersByMethod = Map<unknown, Map<unknown, ProtectedHandler>>;

/** The handler that has a scope to itself. */
interface ScopeOwner {
  readonly controller: NewableFunction;
  readonly name: string;
}

/** All protected handlers of an application, found and checked before the first call. */
@Injectable()
export class HandlerRegistry implements OnModuleInit {
  private readonly logger = new Logger('Idempotency');
  private readonly handlers: Readonly<Record<ProtectedHandler['kind'], HandlersByMethod>> = {
    http: new Map(),
    rpc: new Map(),
    graphql: new Map(),
    method: new Map(),
  };
  private readonly httpScopes = new Set<string>();
  private readonly ownersByScope = new Map<string, ScopeOwner>();
  private readonly checks: (() => Promise<void>)[] = [];
  private isComplete = false;
  private isBooted = false;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly resolver: HandlerResolver,
    private readonly cronJobs: CronJobs,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} for the first wrong declaration */
  async onModuleInit(): Promise<void> {
    this.discover();
    this.isBooted = true;
    for (const check of this.checks.splice(0)) await check();
  }

  /** How the handler of a context is protected; `undefined` when it is not. */
  of(context: ExecutionContext): ProtectedHandler | undefined {
    const handlers = this.handlers[context.getType<keyof typeof this.handlers>()];
    return handlers?.get(context.getHandler())?.get(context.getClass());
  }

  /** True when there are handlers of this kind. */
  has(kind: ProtectedHandler['kind']): boolean {
    this.discover();
    return this.handlers[kind].size > 0;
  }

  /**
   * All that handle requests, by their methods and then by their classes. Before the application
   * has booted, its prefix and versions may still change: what is found then is not kept.
   */
  httpHandlers(): ReadonlyMap<unknown, ReadonlyMap<unknown, ProtectedHandler>> {
    if (this.isBooted) return this.handlers.http;
    const { discovery, scanner, modules, config, resolver, cronJobs } = this;
    const early = new HandlerRegistry(discovery, scanner, modules, config, resolver, cronJobs);
    early.discover();
    return early.handlers.http;
  }

  /** All that handle messages. */
  *messageHandlers(): Generator<ProtectedHandler> {
    this.discover();
    for (const byClass of this.handlers.rpc.values()) yield* byClass.values();
  }

  /** How a method of a provider is protected; `undefined` for a handler that frameworks call. */
  ofMethod(method: object, instance: object): ProtectedHandler | undefined {
    // Other modules may call it while the application boots.
    this.discover();
    const byClass = this.handlers.method.get(method);
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
    return this.httpScopes.has(scope);
  }

  private discover(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    this.resolver.checkDefaults();
    for (const wrapper of this.discovery.getControllers())
      for (const declared of declarations(wrapper, this.scanner))
        this.register(declared, this.entrancesOf(declared, wrapper));
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type !== undefined && Reflect.hasMetadata(OPTIONS_METADATA, type) && !isResolver(type))
        throw notAController(type.name);
      for (const declared of declarations(wrapper, this.scanner))
        this.register(declared, this.entrancesOfProvider(declared));
    }
  }

  /** Nothing for a route that needs no protection. */
  private entrancesOf({ type, name, method }: Declared, wrapper: InstanceWrapper): Entrance[] {
    const source = {
      controller: type,
      handler: method,
      module: wrapper.host?.metatype,
      applicationId: String((this.modules as { applicationId?: string }).applicationId ?? ''),
    };
    const route = routeEntrance(source, this.config, (warning) => this.logger.warn(warning));
    const message = messageEntrance(name, method);
    if (route === undefined && message === undefined) throw notAHandler(name);
    return [route, message].filter((one) => one !== undefined && one !== 'safe') as Entrance[];
  }

  /** Nothing for a field that needs no protection. */
  private entrancesOfProvider(declared: Declared): Entrance[] {
    const field = fieldEntrance(declared, (warning) => this.logger.warn(warning));
    if (field === 'safe') return [];
    return [field ?? methodEntrance(declared, this.cronJobs)];
  }

  private register(declared: Declared, entrances: readonly Entrance[]): void {
    const { type, name, method, methodName } = declared;
    const classOptions = (Reflect.getMetadata(OPTIONS_METADATA, type) ?? {}) as IdempotentOptions;
    const layers = Reflect.getMetadata(OPTIONS_METADATA, method) as readonly IdempotentOptions[];
    checkAcknowledge(name, layers, entrances);
    const made = protectedMethod(type, methodName, method);
    for (const entrance of entrances) {
      const { kind, scopes, message } = entrance;
      const declaration = { ...entrance, name, method: made, classOptions, layers };
      const { handler, check } = this.resolver.resolve(declaration);
      this.checks.push(check);
      if (kind === 'graphql' || message?.isEvent === false)
        checkSerializer(name, type, method, this.config);
      const byMethod = this.handlers[kind];
      // Frameworks know what the outermost decorator has left, the method itself what this one made.
      const known = kind === 'method' ? made : method;
      const byClass = byMethod.get(known) ?? new Map<unknown, ProtectedHandler>();
      byMethod.set(known, byClass.set(type, handler));
      const own = typeof scopes === 'string' ? [scopes] : [...scopes.values()];
      if (kind === 'http') {
        const ofStrategies = handler.layers.flatMap(({ scope }) => scope ?? []);
        for (const scope of [handler.scope, ...own, ...ofStrategies]) this.httpScopes.add(scope);
      }
      if ((layers[0]?.scope ?? classOptions.scope) === undefined)
        for (const scope of own) this.claimScope(type, name, scope);
    }
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

/** A protected method of a class. */
interface Declared {
  readonly type: NewableFunction;
  /** `ClassName.methodName`. */
  readonly name: string;
  readonly methodName: string;
  readonly method: Method;
}

function* declarations(wrapper: InstanceWrapper, scanner: MetadataScanner): Generator<Declared> {
  const type = classOf(wrapper);
  if (type === undefined) return;
  const prototype = type.prototype as Record<string, unknown>;
  for (const methodName of scanner.getAllMethodNames(prototype)) {
    const method = prototype[methodName] as Method;
    if (protectedMethod(type, methodName, method) !== undefined)
      yield { type, name: `${type.name}.${methodName}`, methodName, method };
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
    accepted: 'a controller, a resolver, or single methods of a provider',
    remedy: 'Put the decorator on the methods that must not run twice.',
  });
}

function notAHandler(name: string): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: '@Idempotent()',
    given: name,
    accepted: 'handlers of routes or messages, in a controller',
    remedy:
      'Put the decorator on the handler, or protect other code with IdempotencyService.run().',
  });
}

function checkAcknowledge(
  name: string,
  layers: readonly IdempotentOptions[],
  entrances: readonly Entrance[],
): void {
  const given = layers.find(({ acknowledge }) => acknowledge !== undefined)?.acknowledge;
  if (given === undefined || entrances.some(({ kind }) => kind === 'rpc')) return;
  throw new IdempotencyConfigurationError({
    option: `acknowledge of ${name}`,
    given,
    accepted: 'nothing on what handles no messages',
    remedy: 'Remove the option.',
  });
}
