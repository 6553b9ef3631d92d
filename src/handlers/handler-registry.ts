import {
  type ExecutionContext,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ModuleRef, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { Awaitable } from '../engine/awaitable.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { CallKind } from '../keys/call.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { METHOD_METADATA, OPTIONS_METADATA } from '../options/metadata.js';
import {
  checkInstance,
  checkResult,
  classOf,
  constructorOf,
  type Declared,
  declaredMethods,
  isClass,
} from './declared-methods.js';
import { checkDeclared } from './delivery-check.js';
import {
  checkAcknowledge,
  type Endpoint,
  ENDPOINT_READERS,
  type EndpointReader,
  Endpoints,
} from './endpoint.js';
import { HandlerResolver } from './handler-resolver.js';
import { notProtected } from './not-protected.js';
import type { ProtectedHandler } from './protected-handler.js';
import { ScopeOwners } from './scopes.js';
import { checkSerializer } from './serializer-check.js';
import { SoleProviders } from './sole-providers.js';

/**
 * By the function that `@Idempotent()` made, then by class: several classes may inherit a method.
 */
type HandlersByMethod = Map<unknown, Map<unknown, ProtectedHandler>>;

/** How a call of a method is protected. */
export type MethodProtection =
  | ProtectedHandler
  /** It does not change state, so there is nothing to protect. */
  | 'safe'
  /** A handler of a route, a message or a field, which only its framework may call. */
  | 'framework';

/** The context of a handler that has no decorator or needs no protection. */
const UNPROTECTED = null;

/** What libraries call the contexts of calls that have another name here: `@golevelup/nestjs-rabbitmq`. */
const KINDS_OF_LIBRARIES: Readonly<Record<string, CallKind>> = { rmq: 'rpc' };

/** All protected handlers of an application, found and checked before the first call. */
@Injectable()
export class HandlerRegistry implements OnModuleInit, OnApplicationBootstrap {
  /** By the kind of their calls. */
  private readonly handlers = new Map<string, HandlersByMethod>();
  /** What was found for each context, by the function that the framework calls and its class. */
  private readonly contexts = new Map<
    string,
    Map<unknown, Map<unknown, ProtectedHandler | typeof UNPROTECTED>>
  >();
  /** The handlers of routes, by the function that the framework calls. */
  private readonly routes: HandlersByMethod = new Map();
  private readonly safe = new WeakSet<object>();
  private readonly seen = new Set<NewableFunction>();
  private readonly soleProviders = new SoleProviders();
  private readonly scopes = new Map<CallKind, Map<string, ProtectedHandler>>();
  private readonly owners = new ScopeOwners();
  private readonly endpoints: Endpoints;
  private readonly checks: (() => Promise<void>)[] = [];
  /** Classes that were met after boot, until they are found to be right. */
  private readonly late = new Map<NewableFunction, Promise<unknown>>();
  private isComplete = false;
  private isBooted = false;
  /** How many modules there were when providers were looked for. */
  private modulesSeen = 0;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
    private readonly resolver: HandlerResolver,
    @Inject(ENDPOINT_READERS) private readonly readers: readonly EndpointReader[],
    private readonly moduleRef: ModuleRef,
  ) {
    this.endpoints = new Endpoints(readers, config, modules, moduleRef);
  }

  /** @throws {@link IdempotencyConfigurationError} for the first invalid declaration */
  async onModuleInit(): Promise<void> {
    this.discover();
    this.isBooted = true;
    this.modulesSeen = this.modules.size;
    await this.check();
  }

  /**
   * Checks again, because other hooks may have replaced methods.
   *
   * @throws {@link IdempotencyConfigurationError} for a method that has lost its protection
   */
  onApplicationBootstrap(): void {
    for (const wrapper of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      const type = classOf(wrapper);
      if (type === undefined || this.declared(type).length === 0) continue;
      if (wrapper.isDependencyTreeStatic()) checkInstance(type, wrapper.instance);
    }
  }

  /**
   * How the handler of a context is protected; `undefined` if it has no `@Idempotent()` or needs no
   * protection. The function that a framework calls is recognised by its metadata, which
   * instrumentation copies to the functions that it wraps around handlers.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` for a handler that has it
   *   but cannot be protected
   */
  of(context: ExecutionContext): ProtectedHandler | undefined {
    const kind = context.getType<string>();
    const callback = context.getHandler();
    const type = context.getClass();
    const known = this.contexts.get(kind)?.get(callback)?.get(type);
    return (known === undefined ? this.find(kind, callback, type) : known) ?? undefined;
  }

  /** True if there are handlers of this kind. */
  has(kind: CallKind): boolean {
    this.discover();
    return this.handlers.has(kind);
  }

  /**
   * All handlers of requests, by method and then by class. Before the application has booted, its
   * prefix and versions may still change, so what is found then is not kept.
   */
  httpHandlers(): ReadonlyMap<unknown, ReadonlyMap<unknown, ProtectedHandler>> {
    if (this.isBooted) return this.routes;
    const { discovery, modules, config, resolver, readers, moduleRef } = this;
    const early = new HandlerRegistry(discovery, modules, config, resolver, readers, moduleRef);
    early.discover();
    return early.routes;
  }

  /** All handlers. */
  *all(): Generator<ProtectedHandler> {
    this.discover();
    for (const byMethod of this.handlers.values())
      for (const byType of byMethod.values()) yield* byType.values();
  }

  /** All handlers of one kind of calls. */
  *ofKind(kind: CallKind): Generator<ProtectedHandler> {
    this.discover();
    for (const byType of this.handlers.get(kind)?.values() ?? []) yield* byType.values();
  }

  /**
   * How a call of a method is protected. Objects that were made after boot (by lazy modules,
   * factories, `ModuleRef.create()`) are resolved and checked at their first call.
   *
   * @param made the function that `@Idempotent()` made from the method
   * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` for a method that cannot be
   *   protected
   */
  ofMethod(made: object, instance: unknown): Awaitable<MethodProtection> {
    // Other modules may call the method while the application boots.
    this.discover();
    const known = (): MethodProtection | undefined => this.protectionOf(made, instance);
    const type = isClass(constructorOf(instance));
    if (this.isBooted && this.modules.size !== this.modulesSeen) {
      this.modulesSeen = this.modules.size;
      this.discoverAgain();
    }
    const refusal = this.soleProviders.refusalOf(instance);
    if (refusal !== undefined) return Promise.reject(unresolved(type?.name ?? 'A method', refusal));
    const isRegistered = this.late.size === 0 || type === undefined || !this.late.has(type);
    const found = isRegistered ? known() : undefined;
    if (found !== undefined) return found;
    this.discoverAgain();
    if (type !== undefined) this.registerProvider(type);
    const registered = type && this.late.get(type);
    return Promise.resolve(registered).then(() => known() ?? undeclared(type));
  }

  /** True if a handler of this kind has the scope. */
  hasScope(kind: CallKind, scope: string): boolean {
    return this.scopes.get(kind)?.has(scope) === true;
  }

  /** The handler with this scope, of whatever kind; `undefined` if no handler here has it. */
  withScope(scope: string): ProtectedHandler | undefined {
    const handlers = [...this.scopes.values()].flatMap((ofKind) => ofKind.get(scope) ?? []);
    return handlers[0];
  }

  private async check(): Promise<void> {
    this.owners.reportShortened();
    for (const check of this.checks.splice(0)) await check();
  }

  private find(kind: string, callback: NewableFunction | object, type: NewableFunction) {
    const made = Reflect.getMetadata(METHOD_METADATA, callback) as object | undefined;
    let found: ProtectedHandler | typeof UNPROTECTED | undefined = UNPROTECTED;
    if (made !== undefined) {
      found = this.handlerOf(kind, made, type);
      if (found === undefined && this.isBooted) {
        // It may be a controller of a module that was loaded later.
        this.discoverAgain();
        found = this.handlerOf(kind, made, type);
      }
      if (found === undefined) {
        const name = `${type.name}.${(callback as { readonly name: string }).name}`;
        throw notProtected(
          name,
          `${name} is not known as a handler of ${kind} calls. Declare its class as a controller or provider of a module, and protect other kinds of calls with IdempotencyService.run().`,
        );
      }
    }
    this.remember(kind, callback, type, found);
    return found;
  }

  /** `undefined` if it is not known. */
  private handlerOf(
    kind: string,
    made: object,
    type: NewableFunction,
  ): ProtectedHandler | typeof UNPROTECTED | undefined {
    if (this.safe.has(made)) return UNPROTECTED;
    const handlers = this.handlers.get(KINDS_OF_LIBRARIES[kind] ?? kind);
    const handler = byClass(handlers?.get(made), type.prototype as object);
    // Provider methods protect themselves, whatever calls them.
    return handler ?? byClass(this.handlers.get('method')?.get(made), type.prototype as object);
  }

  private remember(
    kind: string,
    callback: unknown,
    type: unknown,
    found: ProtectedHandler | typeof UNPROTECTED,
  ): void {
    const byCallback = this.contexts.get(kind) ?? new Map<unknown, Map<unknown, typeof found>>();
    this.contexts.set(kind, byCallback);
    const byType = byCallback.get(callback) ?? new Map<unknown, typeof found>();
    byCallback.set(callback, byType.set(type, found));
  }

  private protectionOf(made: object, instance: unknown): MethodProtection | undefined {
    const prototype =
      typeof instance === 'object' && instance !== null
        ? (Object.getPrototypeOf(instance) as object | null)
        : null;
    const handler = byClass(this.handlers.get('method')?.get(made), prototype);
    if (handler !== undefined) return handler;
    if (this.safe.has(made)) return 'safe';
    for (const [kind, handlers] of this.handlers)
      if (kind !== 'method' && handlers.has(made)) return 'framework';
    return undefined;
  }

  private discover(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    this.resolver.checkDefaults();
    this.discoverAgain();
  }

  /** Registers everything that Nest knows and that is not registered yet. */
  private discoverAgain(): void {
    const controllers = new Map<NewableFunction, InstanceWrapper[]>();
    for (const wrapper of this.discovery.getControllers()) {
      const type = classOf(wrapper);
      if (type === undefined || this.seen.has(type)) continue;
      controllers.set(type, [...(controllers.get(type) ?? []), wrapper]);
    }
    for (const [type, wrappers] of controllers) {
      this.seen.add(type);
      const modules = wrappers.map(({ host }) => host?.metatype);
      for (const declared of this.declared(type))
        this.register(declared, this.endpoints.ofController({ ...declared, modules }));
    }
    for (const wrapper of this.discovery.getProviders()) {
      const type = classOf(wrapper);
      if (type !== undefined) this.registerProvider(type, wrapper);
    }
  }

  private registerProvider(type: NewableFunction, wrapper?: InstanceWrapper): void {
    const methods = (): Declared[] => this.declared(type);
    const isSole = wrapper !== undefined && !this.endpoints.isHost(type);
    const register = (): void => {
      if (isSole) this.soleProviders.check(type, wrapper, methods);
      if (this.seen.has(type)) return;
      this.seen.add(type);
      this.endpoints.checkProvider(type);
      for (const declared of methods())
        this.register(declared, this.endpoints.ofProvider({ ...declared, modules: [] }));
    };
    if (!this.isBooted) return register();
    if (!this.seen.has(type) || this.late.has(type)) this.registerLate(type, register);
    else if (isSole) this.soleProviders.checkLater(type, wrapper, methods);
  }

  /** What is wrong with a class stays wrong: no later call may find the part of it that was right. */
  private registerLate(type: NewableFunction, register: () => void): void {
    const registered = (async () => {
      try {
        register();
        await this.check();
      } catch (cause) {
        throw unresolved(type.name, cause);
      }
    })();
    const all = Promise.all([this.late.get(type), registered]);
    this.late.set(type, all);
    const isRight = (): void => {
      if (this.late.get(type) === all) this.late.delete(type);
    };
    all.then(isRight, () => undefined);
  }

  private declared(type: NewableFunction): Declared[] {
    return declaredMethods(type, this.endpoints.changesState);
  }

  private register(declared: Declared, endpoints: readonly Endpoint[]): void {
    if (endpoints.length === 0) this.safe.add(declared.made);
    const { type, name, method, made } = declared;
    const classOptions = (Reflect.getMetadata(OPTIONS_METADATA, type) ?? {}) as IdempotentOptions;
    const layers = Reflect.getMetadata(OPTIONS_METADATA, method) as readonly IdempotentOptions[];
    checkAcknowledge(name, layers, endpoints);
    for (const endpoint of endpoints) {
      checkResult(declared, endpoint.kind);
      const { kind, scopes } = endpoint;
      const declaration = { ...endpoint, name, method: made, classOptions, layers };
      const { handler, check } = this.resolver.resolve(declaration);
      checkDeclared(declared, handler);
      this.checks.push(check);
      if (endpoint.answersValues === true) checkSerializer(name, type, method, this.config);
      const given = layers[0]?.scope ?? classOptions.scope;
      if (given !== undefined) this.owners.named(type, name, given);
      else for (const scope of scopes) this.owners.claim(type, name, scope);
      const handlers =
        this.handlers.get(kind) ?? new Map<unknown, Map<unknown, ProtectedHandler>>();
      this.handlers.set(kind, handlers);
      add(handlers, made, type, handler);
      if (kind === 'http') add(this.routes, method, type, handler);
      const ofStrategies = handler.layers.flatMap(({ scope }) => scope ?? []);
      const all = this.scopes.get(kind) ?? new Map<string, ProtectedHandler>();
      this.scopes.set(kind, all);
      for (const scope of [handler.scope, ...scopes, ...ofStrategies]) all.set(scope, handler);
    }
  }
}

function add(
  handlers: HandlersByMethod,
  method: unknown,
  type: NewableFunction,
  handler: ProtectedHandler,
): void {
  const byType = handlers.get(method) ?? new Map<unknown, ProtectedHandler>();
  handlers.set(method, byType.set(type, handler));
}

/** The handler of a class, or of its nearest ancestor that has one. */
function byClass(
  handlers: ReadonlyMap<unknown, ProtectedHandler> | undefined,
  prototype: object | null,
): ProtectedHandler | undefined {
  if (handlers === undefined) return undefined;
  for (
    let owner = prototype;
    owner !== null;
    owner = Object.getPrototypeOf(owner) as object | null
  ) {
    const handler = handlers.get(owner.constructor);
    if (handler !== undefined) return handler;
  }
  return undefined;
}

function undeclared(type: NewableFunction | undefined): never {
  throw notProtected(
    type?.name ?? 'A method',
    'the class of its object does not declare it. Call it on an instance of its class.',
  );
}

function unresolved(name: string, cause: unknown): unknown {
  if (!(cause instanceof IdempotencyConfigurationError)) return cause;
  return notProtected(name, `its declaration is invalid: ${cause.message}`, cause);
}
