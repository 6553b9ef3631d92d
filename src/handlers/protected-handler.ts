import type { Awaitable } from '../engine/awaitable.js';
import type { OperationPolicy } from '../engine/operation.js';
import type { CallKind, IdempotentCall } from '../keys/call.js';
import type { KeyAge } from '../keys/key-age.js';
import type { KeySource } from '../keys/key-source.js';
import type { ResolvedKey } from '../keys/key-sources.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { ReplyValues } from '../replies/values.js';
import type { StrategyPlan } from '../strategies/strategy.js';
import type { MessageEndpoint, ScopeOfRequest } from './endpoint.js';
import type { ResolvedTransaction } from './options-check.js';

/** One `@Idempotent()` of a handler. */
export interface ProtectedLayer {
  readonly key: ResolvedKey;
  readonly required: boolean;
  /** The namespace of its keys, if it is not the handler's. */
  readonly scope: string | undefined;
  /** Distinguishes its namespace from those of the layers around it. */
  readonly scopeSuffix: string;
  /** Whether every caller has a separate namespace of keys. */
  readonly perPrincipal: boolean;
  readonly policy: OperationPolicy;
  /** How long the record of a call is kept, in milliseconds, if that depends on the call. */
  readonly ttlOf: ((call: IdempotentCall) => Awaitable<number>) | undefined;
  /** How old a key may be that is not on record; absent if that does not matter. */
  readonly age: KeyAge | undefined;
  /** Record and work are one transaction. */
  readonly transaction: ResolvedTransaction | undefined;
  readonly fingerprint: (call: IdempotentCall) => Awaitable<string>;
  /** What operators know the operation by; absent without the option. */
  readonly label: ((call: IdempotentCall) => Awaitable<string | undefined>) | undefined;
  readonly refusals: NonNullable<StrategyPlan['refusals']>;
  /** Called by the engine for every call; see {@link StrategyPlan.begin}. */
  readonly begin: StrategyPlan['begin'];
  /** How its values are kept; the same for all layers of a handler. */
  readonly values: ReplyValues;
  /** What it was made from: the decorator's options, over the options and defaults below them. */
  readonly options: IdempotentOptions;
  /** What its strategy returned. */
  readonly plan: StrategyPlan;
}

/** Everything about one protected handler, resolved when the application boots. */
export interface ProtectedHandler {
  /** What calls it. */
  readonly kind: CallKind;
  /** `ClassName.methodName`. */
  readonly name: string;
  /**
   * The function that `@Idempotent()` made from the method. Decorators above may have wrapped it
   * again.
   */
  readonly method: unknown;
  /** The namespace of its keys; with several routes, that of the first one. */
  readonly scope: string;
  /** The namespaces of all its routes. */
  readonly scopes: readonly string[];
  /** Which of them a request belongs to; `undefined` if there is only one. */
  readonly scopeOf: ScopeOfRequest | undefined;
  /** The paths of its routes, in the forms that HTTP frameworks use. */
  readonly paths: readonly string[];
  /** Outermost first. There is one for each `@Idempotent()`. */
  readonly layers: readonly [ProtectedLayer, ...ProtectedLayer[]];
  /** The outermost layer's policy. */
  readonly policy: OperationPolicy;
  readonly principal: (call: IdempotentCall) => Awaitable<string | undefined>;
  /** `principal` is not configured, so the caller is read from where guards usually put it. */
  readonly isPrincipalAssumed: boolean;
  /** What is known about a handler of messages. */
  readonly message: MessageEndpoint | undefined;
  /** A timer calls it, and nobody waits for an answer. */
  readonly isScheduled: boolean;
  /** Nothing is compared, or an option or a source says what is. */
  readonly namesContent: boolean;
  /** A queue calls it with its jobs. */
  readonly isProcessor: boolean;
  /** It gets events of this process, and nobody waits for an answer. */
  readonly listens: boolean;
  /** How its values are kept, with the classes that {@link IdempotentOptions.returns} names. */
  readonly values: ReplyValues;
  /** See {@link IdempotentOptions.acknowledge}; `undefined` if no option says it. */
  readonly acknowledges: boolean | undefined;
  /** See {@link IdempotentOptions.stream}. */
  readonly streamsThrough: boolean;
  /** See {@link KeySource.statuses} and {@link KeySource.result}. */
  readonly statuses: KeySource['statuses'];
  readonly result: KeySource['result'];
  /** See {@link IdempotentOptions.onError}. */
  readonly onError: IdempotentOptions['onError'];
}

/** What the keys of a handler say about its replies: the outermost that says something. */
export function saidByKeys(
  layers: readonly ProtectedLayer[],
): Pick<ProtectedHandler, 'statuses' | 'result'> {
  const sources = layers.flatMap(({ key }) => key.sources);
  return {
    statuses: sources.find(({ statuses }) => statuses)?.statuses,
    result: sources.find(({ result }) => result)?.result,
  };
}
