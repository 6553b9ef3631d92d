import {
  type ConfigurableModuleAsyncOptions,
  type DynamicModule,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Seal } from './encryption/seal.js';
import { SealedStore } from './encryption/sealed.store.js';
import type { CircuitOptions } from './engine/circuit.js';
import { type Clock, systemClock } from './engine/clock.js';
import { wrongOption } from './engine/configuration-error.js';
import { parseDuration } from './engine/duration.js';
import { DeferredCompletions } from './engine/deferred.js';
import { IdempotencyEngine } from './engine/engine.js';
import { BoundedReplies, ReplayCache } from './engine/replay-cache.js';
import type { IdempotencyStore } from './engine/store.js';
import { StoreCalls } from './engine/store-calls.js';
import { Coverage } from './handlers/coverage.js';
import { HandlerRegistry } from './handlers/handler-registry.js';
import { HandlerResolver } from './handlers/handler-resolver.js';
import { NotKeptWarnings } from './operation/not-kept-warnings.js';
import { replyValues } from './operation/returned-classes.js';
import {
  ConfigurableModuleClass,
  IDEMPOTENCY_CLOCK,
  IDEMPOTENCY_STORE,
  type IdempotencyModuleExtras,
  MODULE_OPTIONS_TOKEN,
  REPLY_VALUES,
} from './options/module-definition.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from './options/idempotency.options.js';
import { CIRCUIT_DEFAULTS, REPLAY_MAX_AGE, type StoreFactory } from './options/store-options.js';
import { checkModuleOptions, checkStore } from './idempotency.options-check.js';
import { IdempotencyService } from './idempotency.service.js';
import { AbandonedSweep } from './idempotency.sweep.js';
import { IdempotencyEvents } from './observability/idempotency-events.js';
import { NOT_KEPT } from './replies/codec.js';
import { type ClassLike, knownClass } from './replies/known-types.js';
import type { ReplyValues } from './replies/values.js';
import { MemoryStore } from './stores/memory/index.js';
import { LockStrategy } from './strategies/lock.strategy.js';
import { ResourceRegistry } from './strategies/resource-registry.js';
import { StateStrategy } from './strategies/state.strategy.js';
import { StrategyRegistry } from './strategies/strategy-registry.js';
import { TokenStrategy } from './strategies/token.strategy.js';
import { UniqueKeyStrategy } from './strategies/unique-key.strategy.js';
import { VersionStrategy } from './strategies/version.strategy.js';
import { Callers } from './calls/callers.js';
import { TRANSPORTS } from './calls/transport.js';
import { METHOD_CALLER } from './transports/method/instances.js';
import { TRANSPORT_PROVIDERS } from './transports/index.js';
import { tokenControllers } from './transports/http/token.controller.js';
import { TokenService } from './tokens/token.service.js';

/**
 * Makes `@Idempotent()` work. Import it once, in the root module.
 *
 * @example
 * ```ts
 * IdempotencyModule.forRoot({ principal: (call) => call.request.user?.id })
 * ```
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    { provide: IDEMPOTENCY_CLOCK, useValue: systemClock },
    {
      provide: IdempotencyEngine,
      inject: [IDEMPOTENCY_STORE, IDEMPOTENCY_CLOCK, IdempotencyEvents, MODULE_OPTIONS_TOKEN],
      useFactory: (
        store: IdempotencyStore,
        clock: Clock,
        events: IdempotencyEvents,
        options: IdempotencyModuleOptions,
      ) => {
        const timeoutMs = parseDuration(
          'storeTimeout',
          options.storeTimeout ?? MODULE_DEFAULTS.storeTimeout,
        );
        const { encryption } = options;
        const records = encryption ? new SealedStore(store, new Seal(encryption)) : store;
        const calls = new StoreCalls(records, clock, timeoutMs, events, circuitOf(options));
        const deferred = new DeferredCompletions({
          maxCompletions: options.maxDeferredCompletions ?? MODULE_DEFAULTS.maxDeferredCompletions,
          maxBytes: options.maxDeferredBytes ?? MODULE_DEFAULTS.maxDeferredBytes,
          tombstone: NOT_KEPT,
        });
        const replays = replaysOf(options, clock);
        const { locks } = options;
        return new IdempotencyEngine(calls, clock, events, deferred, replays, undefined, locks);
      },
    },
    {
      provide: REPLY_VALUES,
      // The options are checked when the store is made.
      inject: [MODULE_OPTIONS_TOKEN, IDEMPOTENCY_STORE],
      useFactory: replyValues,
    },
    IdempotencyEvents,
    IdempotencyService,
    AbandonedSweep,
    HandlerRegistry,
    Coverage,
    HandlerResolver,
    Callers,
    NotKeptWarnings,
    ...TRANSPORT_PROVIDERS,
    StrategyRegistry,
    ResourceRegistry,
    TokenService,
    UniqueKeyStrategy,
    TokenStrategy,
    VersionStrategy,
    StateStrategy,
    LockStrategy,
  ],
  exports: [
    IdempotencyService,
    TokenService,
    HandlerRegistry,
    TRANSPORTS,
    METHOD_CALLER,
    IDEMPOTENCY_STORE,
    MODULE_OPTIONS_TOKEN,
  ],
})
export class IdempotencyModule
  extends ConfigurableModuleClass
  implements OnModuleInit, OnApplicationShutdown
{
  constructor(
    private readonly engine: IdempotencyEngine,
    private readonly events: IdempotencyEvents,
    private readonly sweep: AbandonedSweep,
    @Inject(IDEMPOTENCY_STORE) private readonly store: IdempotencyStore,
    @Inject(MODULE_OPTIONS_TOKEN) private readonly options: IdempotencyModuleOptions,
    @Inject(REPLY_VALUES) private readonly values: ReplyValues,
  ) {
    super();
  }

  /**
   * Registers the module with the given options. A store factory may inject providers of global
   * modules and of `imports`.
   */
  static override forRoot(
    options: IdempotencyModuleOptions &
      IdempotencyModuleExtras &
      Pick<ModuleMetadata, 'imports'> = {},
  ): DynamicModule {
    const { imports = [], ...own } = options;
    const definition = super.forRoot(own);
    const { store } = options;
    return {
      ...definition,
      imports: [...(definition.imports ?? []), ...imports],
      controllers: tokenControllers(options.tokenController),
      providers: [
        ...(definition.providers ?? []),
        isStoreFactory(store) ? fromFactory(store) : STORE_FROM_OPTIONS,
      ],
    };
  }

  /** Registers the module with options from `useFactory`, `useClass` or `useExisting`. */
  static override forRootAsync(
    options: ConfigurableModuleAsyncOptions<IdempotencyModuleOptions, 'createIdempotencyOptions'> &
      IdempotencyModuleExtras,
  ): DynamicModule {
    const definition = super.forRootAsync(options);
    return {
      ...definition,
      controllers: tokenControllers(options.tokenController),
      providers: [...(definition.providers ?? []), STORE_FROM_OPTIONS],
    };
  }

  async onModuleInit(): Promise<void> {
    const logger = new Logger('Idempotency');
    const warn = (warning: string): void => logger.warn(warning);
    await this.store.start?.(
      warn,
      this.options.maxResponseBytes ?? MODULE_DEFAULTS.maxResponseBytes,
    );
    await this.options.locks?.start?.(warn);
    for (const entity of (await this.store.entities?.()) ?? []) {
      const known = knownClass(entity as ClassLike<object>, 'data');
      if (known !== undefined) this.values.types.add(known);
    }
    const { limits } = this.options;
    if (limits === undefined) return;
    if (this.store.prepareLimits === undefined) {
      throw wrongOption(
        'limits',
        limits,
        `a store that keeps them, which ${this.store.constructor.name} does not: it has no prepareLimits()`,
        'Leave the option out, use a store of this package, or let acquire() keep the limits of its request (guarantee 9 of the store contract).',
      );
    }
    await this.store.prepareLimits(warn);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.sweep.stop();
    const left = await this.engine.drain(shutdownTimeoutOf(this.options));
    if (left > 0) {
      const count = left === 1 ? '1 operation was' : `${left} operations were`;
      new Logger('Idempotency').warn(`${count} still running, or not yet recorded, at shutdown.`);
    }
    this.engine.stop();
    this.events.end();
    await this.store.close?.();
    await this.options.locks?.close?.();
  }
}

function replaysOf(
  { replayCache }: IdempotencyModuleOptions,
  clock: Clock,
): ReplayCache | undefined {
  if (replayCache === undefined) return undefined;
  const { bytes: maxBytes, maxAge = REPLAY_MAX_AGE } = replayCache;
  const maxAgeMs = parseDuration('replayCache.maxAge', maxAge);
  return new ReplayCache(new BoundedReplies({ maxBytes, maxAgeMs }), clock);
}

function circuitOf({ circuitBreaker }: IdempotencyModuleOptions): CircuitOptions | undefined {
  if (circuitBreaker === false) return undefined;
  const { failures, pause } = { ...CIRCUIT_DEFAULTS, ...circuitBreaker };
  return { failures, pauseMs: parseDuration('circuitBreaker.pause', pause) };
}

function shutdownTimeoutOf({
  shutdownTimeout = MODULE_DEFAULTS.shutdownTimeout,
}: IdempotencyModuleOptions): number {
  return parseDuration('shutdownTimeout', shutdownTimeout, { zero: true });
}

const STORE_FROM_OPTIONS: Provider = {
  provide: IDEMPOTENCY_STORE,
  inject: [MODULE_OPTIONS_TOKEN],
  useFactory: (options: IdempotencyModuleOptions): IdempotencyStore => {
    checkModuleOptions(options);
    const { store } = options;
    if (isStoreFactory(store)) {
      throw wrongOption(
        'store',
        'a factory, returned by another factory',
        'a store',
        'Inject what the store needs into the factory of forRootAsync(), and create the store there.',
      );
    }
    return allowed(store, options);
  },
};

function fromFactory({ inject = [], useFactory }: StoreFactory): Provider {
  return {
    provide: IDEMPOTENCY_STORE,
    inject: [MODULE_OPTIONS_TOKEN, ...inject],
    useFactory: async (options: IdempotencyModuleOptions, ...dependencies: never[]) => {
      checkModuleOptions(options);
      const store = await useFactory(...dependencies);
      checkStore(store, 'what useFactory returns: a store');
      return allowed(store, options);
    },
  };
}

function isStoreFactory(store: IdempotencyModuleOptions['store']): store is StoreFactory {
  return typeof store === 'object' && store !== null && 'useFactory' in store;
}

/**
 * The store, or the memory store by default. In production, a store that forgets must be allowed
 * explicitly.
 */
function allowed(
  given: IdempotencyStore | undefined,
  { allowMemoryStore, locks }: IdempotencyModuleOptions,
): IdempotencyStore {
  const store = given ?? new MemoryStore();
  if (
    locks?.isVolatile === true &&
    process.env['NODE_ENV'] === 'production' &&
    allowMemoryStore !== true
  ) {
    throw wrongOption(
      'locks',
      locks,
      'with NODE_ENV=production, locks that all processes share',
      'Keep the locks in a shared store or service, or set `allowMemoryStore: true` for a single process.',
    );
  }
  if (
    store.isVolatile === true &&
    process.env['NODE_ENV'] === 'production' &&
    allowMemoryStore !== true
  ) {
    throw wrongOption(
      'store',
      given ?? 'absent, which means the memory store',
      'with NODE_ENV=production, a store that all processes share and that outlives a restart',
      'Set a shared store, or set `allowMemoryStore: true` for a single process that may forget its records.',
    );
  }
  if (given === undefined)
    new Logger('Idempotency').log(
      'Records are kept in memory, for this process only, and are lost on restart.',
    );
  return store;
}
