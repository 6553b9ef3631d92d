// What every author needs: time, waiting, refusals, events.
export type { Awaitable } from '../engine/awaitable.js';
export { type CancelTimer, type Clock, systemClock } from '../engine/clock.js';
export type { CircuitChange } from '../engine/circuit.js';
export type { ConfigurationProblem } from '../engine/configuration-error.js';
export type { DurationUnit } from '../engine/duration.js';
export type {
  ClaimedEvent,
  CompletionFailedEvent,
  DroppedEvent,
  EventBase,
  ExecutedEvent,
  ExhaustedEvent,
  ForgottenEvent,
  HeldEvent,
  LeaseLostEvent,
  MessageCode,
  RejectedEvent,
  ReleasedEvent,
  ReplayedEvent,
  ReturnedEvent,
  SettledEvent,
  StepNotSavedEvent,
  StoredEvent,
  TakenOverEvent,
  UnprotectedEvent,
  WaitedEvent,
} from '../engine/events.js';
export { type Refusal, REFUSALS } from '../engine/refusals.js';
export type { StoreCall, StoreCallName } from '../engine/store-calls.js';
export {
  CHANNEL_PREFIX,
  CIRCUIT_CHANNEL,
  STORE_CALL_CHANNEL,
} from '../observability/idempotency-events.js';
export type { IdempotencyExceptionOptions } from '../operation/idempotency.exception.js';
export type { StepOptions } from '../operation/idempotent-operation.js';
export { DEFAULTS, MODULE_DEFAULTS } from '../options/idempotency.options.js';
export type {
  CircuitBreakerOptions,
  IdempotencyLimits,
  ReplayCacheOptions,
  StoreFactory,
} from '../options/store-options.js';
export { IDEMPOTENCY_CLOCK, type IdempotencyModuleExtras } from '../options/module-definition.js';
export type { TokenControllerOptions } from '../options/token-options.js';
export { IdempotencyGuard } from '../transports/idempotency.guard.js';
export { IdempotencyInterceptor } from '../transports/idempotency.interceptor.js';

// Stores.
export {
  type Acquired,
  type AcquireRequest,
  type AcquireResult,
  type ClaimLimits,
  type ClaimRef,
  type Completed,
  type CompleteRequest,
  type ExtendRequest,
  type Held,
  type HoldRequest,
  type IdempotencyStore,
  type InFlight,
  isPurging,
  isStoreFull,
  type IssueRequest,
  type Limited,
  type ListedRecord,
  type ListedState,
  type ListRequest,
  type Mismatch,
  type PurgingStore,
  type RecordPage,
  type RecordState,
  type RecordView,
  type Refusing,
  type ReleaseRequest,
  type SaveStepRequest,
  type Steps,
  type StoredOutcome,
  StoreFullError,
  type StorePart,
  type Unknown,
  type Unreadable,
} from '../engine/store.js';
export type { RecordedFailure, RecordStory, SettledBy } from '../engine/story.js';
export type {
  CommitFailure,
  OperationManager,
  OperationManagers,
  OperationTransaction,
  OperationTransactions,
  SecondConnection,
  StoreTransaction,
  TransactionalStore,
  TransactionRequest,
} from '../engine/transaction.js';
export type { ClassLike, ReplyType, ReturnedClass } from '../replies/known-types.js';
export type {
  ErrorReply,
  HeaderField,
  BodyForm,
  HttpReply,
  NotKept,
  Reply,
  ValueReply,
} from '../replies/reply.js';

// Locks.
export type { LeaseHolder } from '../engine/lease.js';
export type { HeldLock, LockRequest, LockService } from '../engine/lock-service.js';
export { LeasedLock, LockServiceError, type LockVerbs } from '../engine/leased-lock.js';
export { storeLocks, type StoreLocksOptions } from '../engine/store-locks.js';
export type { LockOptions } from '../options/store-options.js';

// Rows of the strategies `version` and `state`.
export type {
  Expectation,
  Precondition,
  Resource,
  ResourceRequest,
  Resources,
  ResourceValue,
  Unmet,
  WorkTransaction,
  WorkTransactions,
} from '../engine/resource.js';
export {
  REFUSED_OPTIONS,
  type RowId,
  type State,
  type Without,
} from '../options/strategy-options.js';

// Strategies.
export type {
  ListQuery,
  OperationList,
  OperatorDecision,
  RecordById,
} from '../operators/operator-records.js';
export type { PurgeCallOptions, PurgeResult } from '../operators/purge.js';
export type { SweepResult } from '../operators/sweep.js';
export type { SweepOptions } from '../options/store-options.js';
export type { AbandonedDecision } from '../engine/operation.js';
export type { RecoveredReply } from '../operation/recovery.js';
export type {
  IdempotencyStrategyContract,
  PublishedAnswers,
  PublishedRefusal,
  StrategyCall,
  StrategyContext,
  StrategyPlan,
} from '../strategies/strategy.js';
export { IdempotencyStrategy } from '../strategies/strategy-registry.js';
export type { TokenRequest } from '../tokens/token.service.js';

// Sources of keys, fingerprints.
export type { CallConnection, CallKind, CallKinds, Identifier } from '../keys/call.js';
export { canonicalJson, NotComparableError } from '../keys/canonical-json.js';
export {
  type FingerprintDeclaration,
  type FingerprintFunction,
  requestFingerprint,
} from '../keys/fingerprint.js';
export type { CredentialDigest } from '../keys/credentials.js';
export { type ExpectedTags, IfMatchSource } from '../keys/if-match.js';
export { directKey, type DirectKey, MAX_KEY_LENGTH } from '../keys/key-part.js';
export {
  type BodyPath,
  type DottedBodyPath,
  InvalidKeyError,
  isInvalidKeyError,
  type KeyContext,
  type KeyFunction,
  type KeyPlace,
  type KeySource,
  type Schedule,
} from '../keys/key-source.js';
export type { SignatureOptions } from '../keys/signature.js';
export type { LabelDeclaration, LabelFunction } from '../keys/label.js';
export type { ContentDeclaration, ContentFunction } from '../keys/content.js';
export type { PrincipalFunction } from '../keys/principal.js';
export type {
  Webhook,
  WebhookEventOptions,
  WebhookHmac,
  WebhookSecrets,
} from '../keys/webhook-event.js';
export {
  type FingerprintProblem,
  FingerprintUnavailableError,
  isFingerprintUnavailableError,
} from '../keys/request-body.js';
