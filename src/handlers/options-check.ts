import { IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { type Awaitable, chain } from '../engine/awaitable.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import type { LockService } from '../engine/lock-service.js';
import type { OperationPolicy, OperationTransaction } from '../engine/operation.js';
import type { IdempotencyStore } from '../engine/store.js';
import { isTransactional } from '../engine/transaction.js';
import type { IdempotentCall } from '../keys/call.js';
import { DEFAULTS, type IdempotentOptions } from '../options/idempotency.options.js';
import { attemptsOf } from './attempts-check.js';
import type { StrategyPlan } from '../strategies/strategy.js';
import { remedyFor, remedyForScope } from '../options/moved-options.js';

const CHOICES = {
  onDuplicate: ['replay', 'reject'],
  onStoreFailure: ['reject', 'proceed'],
  secondConnection: ['refuse', 'warn', 'join', 'allow'],
  stream: ['hold', 'through'],
  onRecordFailure: ['defer', 'fail'],
} as const satisfies { [Option in keyof IdempotentOptions]?: readonly IdempotentOptions[Option][] };

/** Options that take one of these words, or a function that answers with one. */
const DECISIONS = {
  onError: ['release', 'store', 'hold'],
  onAbandoned: ['rerun', 'hold'],
} as const satisfies { [Option in keyof IdempotentOptions]?: readonly IdempotentOptions[Option][] };

const KNOWN_OPTIONS = [
  ...Object.keys(DEFAULTS),
  'key',
  'fingerprint',
  'content',
  'label',
  'onError',
  'maxAttempts',
  'maxAge',
  'scope',
  'principal',
  'returns',
];

/** Options that belong to one handler and cannot be defaults. */
const OWN_OPTIONS = ['key', 'scope', 'content', 'label', 'returns'];

/**
 * Checks everything except durations, keys, fingerprints and the options of strategies, which are
 * checked where they are read.
 *
 * @param ofStrategy names of the strategy's own options
 * @throws {@link IdempotencyConfigurationError} for the first invalid option
 */
export function checkOptions(
  options: IdempotentOptions,
  ofStrategy: readonly string[] = [],
  known = [...KNOWN_OPTIONS, ...ofStrategy],
): void {
  const given = options as Readonly<Record<string, unknown>>;
  for (const option of Object.keys(options))
    if (!known.includes(option))
      throw wrongOption(
        option,
        given[option],
        known.join(', '),
        remedyFor(option, 'Remove the option, or correct it.'),
      );
  for (const [option, choices] of Object.entries(CHOICES)) {
    const choice = given[option];
    if (choice !== undefined && !(choices as readonly unknown[]).includes(choice))
      throw wrongOption(option, choice, choices.map((one) => `'${one}'`).join(' or '));
  }
  for (const [option, words] of Object.entries(DECISIONS)) {
    const decision = given[option];
    if (decision !== undefined && typeof decision !== 'function')
      if (!(words as readonly unknown[]).includes(decision))
        throw wrongOption(
          option,
          decision,
          `${words.map((one) => `'${one}'`).join(', ')} or a function`,
        );
  }
  const { principal, fingerprint, content } = given;
  if (fingerprint !== undefined && content !== undefined)
    throw wrongOption(
      'content',
      content,
      'nothing beside fingerprint',
      'Remove one of the two: each says what a retry must repeat.',
    );
  if (principal !== undefined && typeof principal !== 'function')
    throw wrongOption('principal', principal, 'a function');
  for (const option of ['required', 'acknowledge'])
    if (given[option] !== undefined && typeof given[option] !== 'boolean')
      throw wrongOption(option, given[option], 'true or false');
  const { scope, conflictRetries = 0 } = given;
  if (!isCount(conflictRetries))
    throw wrongOption('conflictRetries', conflictRetries, `an integer from 0 to ${MOST_RETRIES}`);
  if (scope !== undefined && (typeof scope !== 'string' || scope === ''))
    throw wrongOption('scope', scope, 'a string that is not empty', remedyForScope(scope));
}

const MOST_RETRIES = 10;

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_RETRIES;
}

/** Like {@link checkOptions}, for the defaults of all handlers. */
export function checkDefaults(defaults: IdempotentOptions): void {
  if (defaults.maxAge !== undefined) parseDuration('maxAge', defaults.maxAge);
  checkOptions(
    defaults,
    [],
    KNOWN_OPTIONS.filter((option) => !OWN_OPTIONS.includes(option)),
  );
}

/** Options that `IdempotencyService.run()` shares with handlers. */
export const RUN_OPTIONS = [
  'ttl',
  'lease',
  'wait',
  'retryAfter',
  'onDuplicate',
  'onAbandoned',
  'onStoreFailure',
  'onRecordFailure',
  'transaction',
  'secondConnection',
  'conflictRetries',
  'onError',
  'maxAttempts',
] as const satisfies readonly (keyof IdempotentOptions)[];

export type RunOption = (typeof RUN_OPTIONS)[number];

const RUN_NAMES: ReadonlySet<string> = new Set([
  ...RUN_OPTIONS,
  'scope',
  'key',
  'principal',
  'content',
  'label',
  'returns',
]);

/** @throws {@link IdempotencyConfigurationError} for an option that `run()` does not have */
export function checkRunNames(options: object): void {
  for (const option in options)
    if (!RUN_NAMES.has(option))
      throw wrongOption(
        `${option} of IdempotencyService.run()`,
        (options as Readonly<Record<string, unknown>>)[option],
        [...RUN_NAMES].join(', '),
        remedyFor(option, 'Remove the option, or correct it.'),
      );
}

/**
 * Makes errors about options say where the options are, for checks that end at once or later.
 *
 * @param place turns `ttl` into `ttl of Shop.pay`
 */
export function located<T>(place: (option: string) => string, check: () => T): T {
  const locate = (error: unknown): never => {
    if (!(error instanceof IdempotencyConfigurationError)) throw error;
    throw new IdempotencyConfigurationError({
      ...error.problem,
      option: place(error.problem.option),
    });
  };
  try {
    const result = check();
    return result instanceof Promise ? (result.catch(locate) as T) : result;
  } catch (error) {
    return locate(error);
  }
}

/** The transaction of a handler's calls. */
export interface ResolvedTransaction extends OperationTransaction {
  /**
   * Where the data source depends on the call.
   *
   * @throws {@link IdempotencyConfigurationError} for a name that the store does not know
   */
  readonly sourceOf?: (call: IdempotentCall) => Promise<string>;
  /** The option that it was made from. */
  readonly asked: IdempotentOptions['transaction'];
}

/**
 * Resolves what `transaction` asks of the store.
 *
 * @throws {@link IdempotencyConfigurationError} if the store has no transactions, or if another
 *   option would let the handler run without one
 */
export function resolveTransaction(
  {
    transaction = DEFAULTS.transaction,
    secondConnection = DEFAULTS.secondConnection,
    onStoreFailure,
  }: IdempotentOptions,
  store: IdempotencyStore,
): ResolvedTransaction | undefined {
  if (transaction === false) return undefined;
  const isFunction = typeof transaction === 'function';
  if (
    transaction !== true &&
    !isFunction &&
    (typeof transaction !== 'string' || transaction === '')
  ) {
    throw wrongOption(
      'transaction',
      transaction,
      'true, false, the name of a data source, or a function that gives it',
      'Correct the option.',
    );
  }
  if (!isTransactional(store)) {
    throw wrongOption(
      'transaction',
      transaction,
      'false with this store, which has no transactions',
      'Use the TypeOrmStore or the SqlStore, whose records can be part of a transaction, or leave the option out.',
    );
  }
  if (onStoreFailure === 'proceed') {
    throw wrongOption(
      'transaction',
      transaction,
      "false with onStoreFailure: 'proceed'",
      'Remove one of the two, because without the store there is no transaction to run in.',
    );
  }
  if (isFunction) {
    store.checkSource(undefined, secondConnection);
    const sourceOf = async (call: IdempotentCall): Promise<string> => {
      const name = await transaction(call);
      if (typeof name !== 'string' || name === '')
        throw wrongOption('transaction', name, 'a function that gives the name of a data source');
      store.checkSource(name);
      return name;
    };
    return { source: undefined, secondConnection, sourceOf, asked: transaction };
  }
  const source = transaction === true ? undefined : transaction;
  store.checkSource(source, secondConnection);
  return { source, secondConnection, asked: transaction };
}

/** @throws {@link IdempotencyConfigurationError} for an option that only a transaction gives a meaning */
export function refuseWithoutTransaction(options: IdempotentOptions): void {
  for (const [option, why] of Object.entries(ONLY_IN_TRANSACTIONS)) {
    const given: unknown = options[option as keyof typeof ONLY_IN_TRANSACTIONS];
    if (given === undefined) continue;
    const remedy = 'Add `transaction: true`, or remove the option.';
    throw wrongOption(option, given, `nothing, because without a transaction ${why}`, remedy);
  }
}

const ONLY_IN_TRANSACTIONS = {
  secondConnection: 'every connection is the only one',
  conflictRetries: 'the database undoes nothing',
};

/**
 * The policy that the engine gets for every operation of a handler.
 *
 * @throws {@link IdempotencyConfigurationError} if a duration is not valid
 */
export function policyOf(options: IdempotentOptions, strategy: string): OperationPolicy {
  const onRecordFailure = options.onRecordFailure ?? DEFAULTS.onRecordFailure;
  return {
    strategy,
    leaseMs: parseDuration('lease', options.lease ?? DEFAULTS.lease),
    ttlMs: parseDuration('ttl', (options.ttl ?? DEFAULTS.ttl) as Duration),
    waitMs: parseDuration('wait', options.wait ?? DEFAULTS.wait, { zero: true }),
    retryAfterMs: parseDuration('retryAfter', options.retryAfter ?? DEFAULTS.retryAfter, {
      zero: true,
    }),
    onDuplicate: options.onDuplicate ?? DEFAULTS.onDuplicate,
    // A function decides itself; where it is not asked, nothing runs.
    onAbandoned:
      typeof options.onAbandoned === 'function'
        ? 'hold'
        : (options.onAbandoned ?? (onRecordFailure === 'fail' ? 'hold' : DEFAULTS.onAbandoned)),
    onStoreFailure: options.onStoreFailure ?? DEFAULTS.onStoreFailure,
    onRecordFailure,
    keepsReply: true,
    maxAttempts: attemptsOf(options),
    conflictRetries: options.conflictRetries ?? DEFAULTS.conflictRetries,
  };
}

/** The policy of a handler, whose `ttl` may depend on the call: then `ttlOf` says it, in milliseconds. */
export function handlerPolicyOf(
  options: IdempotentOptions,
  strategy: string,
): {
  policy: OperationPolicy;
  ttlOf: ((call: IdempotentCall) => Awaitable<number>) | undefined;
} {
  const { ttl, ...others } = options;
  if (typeof ttl !== 'function') return { policy: policyOf(options, strategy), ttlOf: undefined };
  return {
    policy: policyOf(others, strategy),
    ttlOf: (call) =>
      chain(ttl(call), (given) => parseDuration('duration that ttl() returns', given)),
  };
}

/** The error for an option that a strategy does not take. */
export function meaningless(
  option: string,
  given: unknown,
  strategy: string,
): IdempotencyConfigurationError {
  return wrongOption(
    option,
    given,
    'nothing',
    `Strategy '${strategy}' does not take this option. Remove it, or choose another strategy.`,
  );
}

/** How a lock is treated: nothing is recorded, so there is nothing to keep. */
export function lockPolicyOf(policy: OperationPolicy): OperationPolicy {
  return { ...policy, keepsReply: false, isLock: true, ttlMs: policy.leaseMs };
}

/** A lease that a lock service would not heed. A default, or one of a class, is for others. */
export function checkLease(
  { lease }: IdempotentOptions,
  { keepsReply }: Pick<StrategyPlan, 'keepsReply'>,
  locks: LockService | undefined,
): void {
  if (lease === undefined || keepsReply || locks?.decidesLease !== true) return;
  throw wrongOption(
    'lease',
    lease,
    "nothing, because the lock lasts as long as its client's session",
    'Remove the option, and set the session timeout of the client.',
  );
}
