import type { Awaitable } from '../engine/awaitable.js';
import type { OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { CallKind, IdempotentCall } from '../keys/call.js';
import type { ResolvedKey } from '../keys/key-sources.js';
import type { ErrorDecision, IdempotentOptions } from '../options/idempotency.options.js';
import type { StrategyPlan } from '../strategies/strategy.js';
import type { Endpoint, MessageEndpoint, ScopeOfRequest } from './endpoint.js';

/** One `@Idempotent()` of a handler. */
export interface ProtectedLayer {
  readonly key: ResolvedKey;
  readonly required: boolean;
  /** The namespace of its keys, where that is not the handler's own. */
  readonly scope: string | undefined;
  /** What makes its namespace another one than that of the layers around it. */
  readonly scopeSuffix: string;
  /** Whether every caller has keys of their own. */
  readonly perPrincipal: boolean;
  readonly policy: OperationPolicy;
  /** Record and work are one transaction. */
  readonly transaction: OperationRequest['transaction'];
  readonly fingerprint: (call: IdempotentCall) => Awaitable<string>;
  readonly recover: IdempotentOptions['recover'];
  readonly refusals: NonNullable<StrategyPlan['refusals']>;
  /** What the strategy has to say of every call. */
  readonly begin: StrategyPlan['begin'];
  /** What it was made of: the options of the decorator over all that lies under it. */
  readonly options: IdempotentOptions;
  /** What its strategy has answered. */
  readonly plan: StrategyPlan;
}

/** Everything about one protected handler, worked out when the application boots. */
export interface ProtectedHandler {
  /** What calls it. */
  readonly kind: CallKind;
  /** `ClassName.methodName`. */
  readonly name: string;
  /** What `@Idempotent()` made of the method; decorators above may have wrapped it once more. */
  readonly method: unknown;
  /** The namespace of its keys; with several routes, that of the first. */
  readonly scope: string;
  /** Those of all its routes. */
  readonly scopes: readonly string[];
  /** Which of them a request belongs to; `undefined` when there is one. */
  readonly scopeOf: ScopeOfRequest | undefined;
  /** Of its routes, in the forms that HTTP frameworks know them in. */
  readonly paths: readonly string[];
  /** Outermost first; one, unless the decorator is there several times. */
  readonly layers: readonly [ProtectedLayer, ...ProtectedLayer[]];
  /** The outermost layer's. */
  readonly policy: OperationPolicy;
  readonly principal: (call: IdempotentCall) => Awaitable<string | undefined>;
  /** Nobody has said who the caller is: it is read from where guards usually put it. */
  readonly isPrincipalAssumed: boolean;
  /** What is known of a handler of messages. */
  readonly message: MessageEndpoint | undefined;
  /** A timer calls it: nobody waits for an answer. */
  readonly isScheduled: boolean;
  /** See {@link Endpoint.content}. */
  readonly content: Endpoint['content'];
  /** See {@link IdempotentOptions.acknowledge}. */
  readonly acknowledges: boolean;
  readonly onError: ((error: unknown, status: number) => Awaitable<ErrorDecision>) | undefined;
}
