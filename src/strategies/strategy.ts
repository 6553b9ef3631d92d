import type { Awaitable } from '../engine/awaitable.js';
import type { Precondition } from '../engine/resource.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { IdempotentOperation } from '../operation/idempotent-operation.js';
import type { RecoveredReply } from '../operation/recovery.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { CallKind, IdempotentCall } from '../keys/call.js';
import type { KeyDeclaration } from '../keys/key-source.js';

/** A handler as its strategy sees it when the application boots. */
export interface StrategyContext {
  /** `ClassName.methodName`, for errors. */
  readonly handler: string;
  /** What calls it: a request, a message, a mutation, or code that calls the method of a provider. */
  readonly kind: CallKind;
  /** The options of the handler, merged over those of its class and the module's defaults. */
  readonly options: IdempotentOptions;
}

/** What a strategy has to say of one call, after its key was read. */
export interface StrategyCall {
  /** What has to be true before the handler may run. */
  readonly precondition?: Precondition;
  /** Headers of a successful reply, asked for when the precondition was met. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /**
   * Makes the reply of what the handler has returned, before it is recorded. Without a status of its
   * own the reply has the handler's.
   */
  readonly answer?: (value: unknown, operation: IdempotentOperation) => Awaitable<RecoveredReply>;
  /**
   * What becomes of an operation that failed, unless the option `onError` says it.
   * @default as {@link IdempotentOptions.onError}
   */
  readonly onError?: IdempotentOptions['onError'];
  /** Told of a refusal before the caller is; may throw another error in its place. */
  readonly onRefused?: (code: IdempotencyErrorCode) => Awaitable<void>;
  /** When given, only a key that was issued before may be used; else this is the refusal. */
  readonly refuseUnknown?: IdempotencyErrorCode;
  /**
   * How long the record is kept at least, in milliseconds, whatever `ttl` and `op.setTtl()` say;
   * `ttl` if that is longer.
   */
  readonly keepForMs?: number;
  /**
   * `false`: this call is not to be remembered.
   * @default the plan's
   */
  readonly keepsReply?: boolean;
}

/** What API descriptions say of a strategy's answers. Nothing of it changes them. */
export interface PublishedAnswers {
  /** What calls are refused with by preconditions, or because their keys were never issued. */
  readonly unmet?: readonly PublishedRefusal[];
  /** What {@link StrategyCall.headers} and `answer` put on a successful reply: name and meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What {@link StrategyCall.answer} makes of a successful reply: its status, and a JSON schema. */
  readonly reply?: { readonly status: number; readonly schema: object };
}

/** A refusal, with its status where that is not the one of the table. */
export interface PublishedRefusal {
  readonly code: IdempotencyErrorCode;
  readonly status?: number;
}

/** What a strategy answers, once per handler. */
export interface StrategyPlan {
  /** What the key is. */
  readonly key: KeyDeclaration;
  /** Whether a retry must repeat the content. */
  readonly comparesContent: boolean;
  /** Whether the reply is kept for retries; without it, the strategy is mutual exclusion only. */
  readonly keepsReply: boolean;
  /**
   * Whether every caller has keys of their own.
   * @default true
   */
  readonly perPrincipal?: boolean;
  /** The namespace of the keys, instead of the route's. The option `scope` goes before it. */
  readonly scope?: string;
  /** The answers to a call without a key, and to one whose key cannot be one. */
  readonly refusals?: {
    readonly missing?: IdempotencyErrorCode;
    readonly invalid?: IdempotencyErrorCode;
  };
  /**
   * `required`: record and work are one transaction of the store. `own`: the work has one of its own,
   * which the record cannot be part of. `never`: a claim of this strategy is seen by others while the
   * work runs, so it is no part of any transaction.
   * @default as the option `transaction` says
   */
  readonly transaction?: 'required' | 'own' | 'never';
  /** For API descriptions; what is absent is not known. */
  readonly published?: PublishedAnswers;
  /** Runs when the application boots, once all its modules are there. */
  check?(): Awaitable<void>;
  /**
   * Asked for every call, after the key was read and before anything is claimed.
   *
   * @throws {@link InvalidKeyError} for a call that cannot be served
   */
  begin?(call: IdempotentCall, key: string): Awaitable<StrategyCall>;
}

/**
 * Answers what the key is, what must be true before the handler may run, and what a refusal
 * means. Claim, lease, replay, waiting and recording are the engine's.
 */
export interface IdempotencyStrategyContract {
  /** Names of the options that it has beside the common ones. */
  readonly options?: readonly string[];
  /** Common options that mean nothing to it, and are refused. */
  readonly withoutOptions?: readonly (keyof IdempotentOptions)[];
  /** @throws {@link IdempotencyConfigurationError} for a declaration that cannot work */
  plan(context: StrategyContext): StrategyPlan;
}
