import { Inject, Injectable, Logger } from '@nestjs/common';
import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotencyStore } from '../engine/store.js';
import {
  IDEMPOTENCY_STORE,
  MODULE_OPTIONS_TOKEN,
  REPLY_VALUES,
} from '../options/module-definition.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  type IdempotentOptions,
  MODULE_DEFAULTS,
} from '../options/idempotency.options.js';
import { type ResolvedFingerprint, resolveFingerprint } from '../keys/fingerprint.js';
import { type CredentialDigest, credentialDigests } from '../keys/credentials.js';
import type { KeyContext } from '../keys/key-source.js';
import { resolvePrincipal } from '../keys/principal.js';
import { contentOfKey, resolveContent } from '../keys/content.js';
import { resolveKey } from '../keys/key-sources.js';
import { resolveKeyAge } from '../keys/key-age.js';
import { resolveLabel } from '../keys/label.js';
import type { ReplyValues } from '../replies/values.js';
import type { StrategyPlan } from '../strategies/strategy.js';
import { StrategyRegistry } from '../strategies/strategy-registry.js';
import {
  checkDefaults,
  checkLease,
  checkOptions,
  checkRunNames,
  handlerPolicyOf,
  located,
  lockPolicyOf,
  meaningless,
  policyOf,
  refuseWithoutTransaction,
  type ResolvedTransaction,
  resolveTransaction,
  RUN_OPTIONS,
  type RunOption,
} from './options-check.js';
import { checkAttempts } from './attempts-check.js';
import type { Endpoint } from './endpoint.js';
import { type ProtectedHandler, type ProtectedLayer, saidByKeys } from './protected-handler.js';
import { withReturned } from '../operation/returned-classes.js';
import { checkScopes, scopesOf } from './scopes.js';

export interface HandlerDeclaration extends Endpoint {
  /** `ClassName.methodName`. */
  readonly name: string;
  /** See {@link ProtectedHandler.method}. */
  readonly method: unknown;
  /** The options of its class. */
  readonly classOptions: IdempotentOptions;
  /** Its own options, one for each decorator, outermost first. */
  readonly layers: readonly IdempotentOptions[];
}

/** A protected handler, and the checks of its strategies that run once everything is available. */
export interface ResolvedHandler {
  readonly handler: ProtectedHandler;
  readonly check: () => Promise<void>;
}

/** What all calls of `IdempotencyService.run()` with the same options have in common. */
export type ResolvedRun = Pick<ProtectedLayer, 'policy' | 'transaction'>;

const MOST_RUNS = 1_000;

/** One decorator, with the defaults and options that it overrides. */
interface Layer {
  readonly strategy: string;
  readonly options: IdempotentOptions;
  readonly plan: StrategyPlan;
}

/** Resolves options to their complete, read-only form, once, when the application boots. */
@Injectable()
export class HandlerResolver {
  private readonly runs = new Map<string, ResolvedRun>();
  private readonly returned = new WeakMap<object, ReplyValues>();
  /** Tells callers apart if their principal is not known. */
  readonly credentials: CredentialDigest;

  constructor(
    @Inject(MODULE_OPTIONS_TOKEN) private readonly moduleOptions: IdempotencyModuleOptions,
    @Inject(IDEMPOTENCY_STORE) private readonly store: IdempotencyStore,
    private readonly strategies: StrategyRegistry,
    @Inject(REPLY_VALUES) private readonly values: ReplyValues,
  ) {
    this.credentials = credentialDigests(
      moduleOptions.credentialHeaders ?? MODULE_DEFAULTS.credentialHeaders,
    );
  }

  /** @throws {@link IdempotencyConfigurationError} */
  resolve(declaration: HandlerDeclaration): ResolvedHandler {
    const place = (option: string): string => `${option} of ${declaration.name}`;
    return located(place, () => {
      const layers = declaration.layers.map((own) => this.layer(declaration, own));
      return {
        handler: this.resolved(declaration, layers),
        check: async () => {
          for (const { plan } of layers) await located(place, async () => plan.check?.());
        },
      };
    });
  }

  /**
   * Checks the module's defaults, even if no handler uses them.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  checkDefaults(): void {
    const { defaults = {} } = this.moduleOptions;
    located(
      (option) => `defaults.${option}`,
      () => {
        checkDefaults(defaults);
        policyOf(defaults, defaults.strategy ?? DEFAULTS.strategy);
        resolveTransaction(defaults, this.store);
        resolveFingerprint(defaults.fingerprint, {});
        this.strategies.get(defaults.strategy ?? DEFAULTS.strategy);
      },
    );
  }

  /**
   * Resolves the options of `IdempotencyService.run()`. Code passes the same few options again and
   * again, so the results are kept.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  resolveRun(given: Pick<IdempotentOptions, RunOption>): ResolvedRun {
    checkRunNames(given);
    let name = '';
    for (const option of RUN_OPTIONS) name += nameOf(given[option]);
    let run = this.runs.get(name);
    if (run === undefined) {
      run = this.resolvedRun(given);
      // Limited, because durations that are never the same would fill the memory.
      if (this.runs.size < MOST_RUNS) this.runs.set(name, run);
    }
    return run;
  }

  /**
   * What is known about the values of `IdempotencyService.run()`.
   *
   * @throws {@link IdempotencyConfigurationError}
   */
  resolveReturned(returns: IdempotentOptions['returns']): ReplyValues {
    if (returns === undefined) return this.values;
    let values = this.returned.get(returns);
    if (values === undefined) {
      const place = (option: string): string => `${option} of IdempotencyService.run()`;
      values = located(place, () => withReturned(this.values, returns));
      this.returned.set(returns, values);
    }
    return values;
  }

  private resolvedRun(given: Pick<IdempotentOptions, RunOption>): ResolvedRun {
    return located(
      (option) => `${option} of IdempotencyService.run()`,
      () => {
        const own = RUN_OPTIONS.map((option) => [option, given[option]]);
        const options = this.withDefaults(Object.fromEntries(own) as IdempotentOptions);
        checkOptions(options);
        const transaction = resolveTransaction(options, this.store);
        if (transaction === undefined) refuseWithoutTransaction(given);
        if (transaction?.sourceOf !== undefined)
          throw wrongOption(
            'transaction',
            options.transaction,
            'true, false, or the name of a data source',
            'Name the data source of this run.',
          );
        return { policy: policyOf(options, DEFAULTS.strategy), transaction };
      },
    );
  }

  private layer({ name, kind, classOptions }: HandlerDeclaration, own: IdempotentOptions): Layer {
    const options = this.withDefaults(classOptions, own);
    const strategyName = options.strategy ?? DEFAULTS.strategy;
    const strategy = this.strategies.get(strategyName);
    checkOptions(options, strategy.options);
    for (const option of strategy.withoutOptions ?? [])
      if (own[option] !== undefined) throw meaningless(option, own[option], strategyName);
    // A default, which is for the others.
    if (strategy.withoutOptions?.includes('maxAge')) delete options.maxAge;
    if (own.acknowledge === true && kind !== 'rpc')
      throw wrongOption(
        'acknowledge',
        true,
        'false: only the handler of a message has something to acknowledge',
        'Remove the option.',
      );
    if (own.stream === 'through' && kind !== 'http')
      throw wrongOption(
        'stream',
        'through',
        "'hold': only the reply of a route is a stream of bytes",
        'Remove the option.',
      );
    if (own.returns !== undefined && kind === 'http')
      throw wrongOption(
        'returns',
        own.returns,
        'nothing on a route, whose reply is recorded as it is sent',
        'Remove the option.',
      );
    const plan = strategy.plan({ handler: name, kind, options });
    checkLease(own, plan, this.moduleOptions.locks);
    return { strategy: strategyName, options, plan };
  }

  private resolved(declaration: HandlerDeclaration, layers: readonly Layer[]): ProtectedHandler {
    const [scope, scopes, scopeOf] = scopesOf(declaration, layers[0]!.options);
    const transaction = this.transaction(layers);
    if (transaction === undefined && !layers.some(({ plan }) => plan.transaction === 'own'))
      for (const own of declaration.layers) refuseWithoutTransaction(own);
    const returns = layers.find(({ options }) => options.returns)?.options.returns;
    const values = withReturned(this.values, returns);
    const keys: KeyContext & { readonly handler: string } = {
      headerName: this.moduleOptions.header ?? MODULE_DEFAULTS.header,
      kind: declaration.kind,
      credentials: this.credentials,
      schedule: declaration.schedule,
      handler: declaration.name,
    };
    const resolved = layers.map((layer, index) =>
      this.protectedLayer(layer, index, keys, transaction, values),
    );
    checkScopes(layers);
    const streamsThrough = layers.some(({ options }) => options.stream === 'through');
    if (streamsThrough && transaction !== undefined)
      throw wrongOption(
        'stream',
        'through',
        "'hold' in a transaction, because its reply must not leave before the commit",
        'Remove one of the two options.',
      );
    const acknowledges = acknowledgementOf(layers);
    const hasDeadLetters =
      acknowledges === true ||
      declaration.message?.isSettledByLibrary === true ||
      declaration.isProcessor === true;
    for (const { policy } of resolved) checkAttempts(policy, hasDeadLetters);
    const principal =
      layers.find(({ options }) => options.principal)?.options.principal ??
      this.moduleOptions.principal;
    return {
      kind: declaration.kind,
      name: declaration.name,
      method: declaration.method,
      scope,
      scopes,
      scopeOf,
      paths: declaration.paths ?? [],
      layers: resolved as [ProtectedLayer, ...ProtectedLayer[]],
      policy: resolved[0]!.policy,
      principal: resolvePrincipal(principal),
      isPrincipalAssumed: principal === undefined,
      message: declaration.message,
      isScheduled: declaration.schedule !== undefined,
      namesContent: declaration.isProcessor === true || layers.every(namesContent),
      isProcessor: declaration.isProcessor === true,
      listens: declaration.listens === true,
      values,
      acknowledges,
      streamsThrough,
      ...saidByKeys(resolved),
      onError: layers.find(({ options }) => options.onError)?.options.onError,
    };
  }

  private protectedLayer(
    layer: Layer,
    index: number,
    keys: KeyContext & { readonly handler: string },
    transactionOfAll: ResolvedTransaction | undefined,
    values: ReplyValues,
  ): ProtectedLayer {
    const { strategy, options, plan } = layer;
    const key = resolveKey(plan.key, { ...keys, content: resolveContent(options.content) });
    const content = resolveContent(options.content) ?? contentOfKey(key);
    const fingerprint = this.fingerprintOf(plan, content, options);
    const { policy, ttlOf } = handlerPolicyOf(options, strategy);
    const isOutermost = index === 0;
    return {
      key,
      required: options.required ?? DEFAULTS.required,
      // The outermost layer's own scope is the handler's.
      scope: options.scope === undefined ? plan.scope : isOutermost ? undefined : options.scope,
      scopeSuffix: isOutermost ? '' : `#${strategy}`,
      perPrincipal: plan.perPrincipal ?? true,
      age: resolveKeyAge(options.maxAge, key, ttlOf === undefined ? policy.ttlMs : undefined),
      ttlOf,
      policy: plan.keepsReply ? policy : lockPolicyOf(policy),
      transaction: plan.transaction === 'never' ? undefined : transactionOfAll,
      fingerprint: key.coversContent ? matchesAll : fingerprint,
      label: resolveLabel(options.label, keys.handler, warn),
      refusals: plan.refusals ?? {},
      begin: plan.begin?.bind(plan),
      values,
      options,
      plan,
    };
  }

  /** No other anonymous caller gets a recorded reply, whatever the strategy. */
  private fingerprintOf(
    plan: StrategyPlan,
    content: IdempotentOptions['fingerprint'],
    { fingerprint = content }: IdempotentOptions,
  ): ResolvedFingerprint {
    const context = { credentials: this.credentials, isShared: plan.scope !== undefined };
    const declared = resolveFingerprint(fingerprint, context);
    if (plan.comparesContent) return declared;
    return plan.keepsReply
      ? resolveFingerprint(false, { credentials: this.credentials })
      : matchesAll;
  }

  /** If one layer needs a transaction, all are in it, because they end together. */
  private transaction(layers: readonly Layer[]): ResolvedTransaction | undefined {
    const asked = layers
      .filter(({ plan }) => plan.transaction !== 'never')
      .map(({ options, plan }) => ({
        ...options,
        transaction:
          plan.transaction === 'required' ? options.transaction || true : options.transaction,
      }));
    const named = asked.map((options) => resolveTransaction(options, this.store));
    const found = named.find((one) => one !== undefined);
    const other = named.find(
      (one) => one !== undefined && (one.source !== found?.source || one.asked !== found?.asked),
    );
    if (other !== undefined) {
      throw wrongOption(
        'transaction',
        other.source ?? true,
        `the data source of the layer around it: ${found?.source ?? true}`,
        'Give all @Idempotent() of the handler the same data source.',
      );
    }
    if (found !== undefined && layers.some(({ plan }) => plan.transaction === 'own')) {
      throw wrongOption(
        'transaction',
        found.source ?? true,
        'false with a Resource that has its own transaction',
        'Leave the option out, or let the TypeOrmStore provide the Resource.',
      );
    }
    if (found !== undefined)
      for (const options of asked)
        resolveTransaction({ ...options, transaction: found.asked }, this.store);
    return found;
  }

  /** The module's defaults, overridden by the given options, outermost first. */
  private withDefaults(...options: readonly IdempotentOptions[]): IdempotentOptions {
    const { defaults } = this.moduleOptions;
    return Object.assign({}, defaults, ...options.map(withoutUndefined)) as IdempotentOptions;
  }
}

function acknowledgementOf(layers: readonly Layer[]): boolean | undefined {
  const said = layers.flatMap(({ options }) => options.acknowledge ?? []);
  return said.length === 0 ? undefined : said.includes(true);
}

/** Functions do not change the result, and objects are plain. */
function nameOf(value: unknown): string {
  const isPlain =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  if (isPlain) return `${typeof value} ${value},`;
  return typeof value === 'object' ? `${JSON.stringify(value)},` : `${typeof value},`;
}

/** True if nothing of a call's content is read, or if something says which part of it is. */
function namesContent({ plan, options }: Layer): boolean {
  return (
    !plan.comparesContent || options.content !== undefined || options.fingerprint !== undefined
  );
}

const matchesAll = (): string => '';

const logger = new Logger('Idempotency');
const warn = (warning: string): void => logger.warn(warning);

/** An option that is present but `undefined` must not hide the one below it. */
function withoutUndefined(options: IdempotentOptions): IdempotentOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
