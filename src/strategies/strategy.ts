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
  /** What calls it: a request, a message, a mutation, or code that calls a provider method. */
  readonly kind: CallKind;
  /** The options of the handler, merged over those of its class and the module's defaults. */
  readonly options: IdempotentOptions;
}

/** What a strategy decides about one call, after its key was read. */
export interface StrategyCall {
  /** What must be true before the handler may run. */
  readonly precondition?: Precondition;
  /** Headers for a successful reply. Called once the precondition is met. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /**
   * Makes the reply from what the handler returned, before it is recorded. If it sets no status,
   * the reply has the handler's.
   */
  readonly answer?: (value: unknown, operation: IdempotentOperation) => Awaitable<RecoveredReply>;
  /**
   * What happens to an operation that failed, unless the option `onError` is set.
   * @default as {@link IdempotentOptions.onError}
   */
  readonly onError?: IdempotentOptions['onError'];
  /** Called before the caller is told about a refusal. May throw another error in its place. */
  readonly onRefused?: (code: IdempotencyErrorCode) => Awaitable<void>;
  /** If given, only a key that was issued before may be used. Otherwise this is the refusal. */
  readonly refuseUnknown?: IdempotencyErrorCode;
  /**
   * The least time that the record is kept, in milliseconds, even if `ttl` or `op.setTtl()` say
   * less.
   */
  readonly keepForMs?: number;
  /**
   * `false`: the reply to this call is not kept.
   * @default the plan's
   */
  readonly keepsReply?: boolean;
}

/** What API descriptions say about a strategy's answers. It does not change the answers. */
export interface PublishedAnswers {
  /** The refusals of preconditions, and of keys that were never issued. */
  readonly unmet?: readonly PublishedRefusal[];
  /**
   * The headers that {@link StrategyCall.headers} and `answer` add to a successful reply: name and
   * meaning.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** The successful reply that {@link StrategyCall.answer} makes: its status and JSON schema. */
  readonly reply?: { readonly status: number; readonly schema: object };
}

/** A refusal, with its status if it differs from the table. */
export interface PublishedRefusal {
  readonly code: IdempotencyErrorCode;
  readonly status?: number;
}

/** What a strategy returns for a handler, once. */
export interface StrategyPlan {
  /** What the key is. */
  readonly key: KeyDeclaration;
  /** Whether a retry must repeat the content. */
  readonly comparesContent: boolean;
  /** Whether the reply is kept for retries. If not, the strategy is only a lock. */
  readonly keepsReply: boolean;
  /**
   * Whether every caller has a separate namespace of keys.
   * @default true
   */
  readonly perPrincipal?: boolean;
  /** The namespace of the keys, instead of the route's. The option `scope` takes precedence. */
  readonly scope?: string;
  /** The refusals for a call without a key, and for one with an invalid key. */
  readonly refusals?: {
    readonly missing?: IdempotencyErrorCode;
    readonly invalid?: IdempotencyErrorCode;
  };
  /**
   * `required`: record and work are one transaction of the store. `own`: the work has its own
   * transaction, which cannot contain the record. `never`: other calls must see this strategy's
   * claim while the work runs, so it is not part of any transaction.
   * @default what the option `transaction` says
   */
  readonly transaction?: 'required' | 'own' | 'never';
  /** For API descriptions. Absent members are not described. */
  readonly published?: PublishedAnswers;
  /** Called when the application boots, once all its modules are initialized. */
  check?(): Awaitable<void>;
  /**
   * Called for every call, after the key was read and before anything is claimed.
   *
   * @throws {@link InvalidKeyError} for a call that cannot be served
   */
  begin?(call: IdempotentCall, key: string): Awaitable<StrategyCall>;
}

/**
 * Decides what the key is, what must be true before the handler may run, and what a refusal means.
 * The engine takes care of claim, lease, replay, waiting and recording.
 */
export interface IdempotencyStrategyContract {
  /** Names of the strategy's own options. */
  readonly options?: readonly string[];
  /** Common options that the strategy does not take. They are refused at boot. */
  readonly withoutOptions?: readonly (keyof IdempotentOptions)[];
  /** @throws {@link IdempotencyConfigurationError} for a declaration that cannot work */
  plan(context: StrategyContext): StrategyPlan;
}
