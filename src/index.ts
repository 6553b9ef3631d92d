export { IdempotencyModule } from './idempotency.module.js';
export type { IdempotencyModuleExtras } from './options/module-definition.js';
export {
  DEFAULTS,
  type ErrorDecision,
  type IdempotencyModuleOptions,
  type IdempotencyStrategies,
  type IdempotentDeclaration,
  type IdempotentOptions,
  MODULE_DEFAULTS,
  type StoreFactory,
} from './options/idempotency.options.js';
export { CORS_ALLOWED_HEADERS, CORS_EXPOSED_HEADERS } from './idempotency.cors.js';
export { IDEMPOTENCY_CLOCK, IDEMPOTENCY_STORE } from './options/module-definition.js';
export {
  IdempotencyException,
  type IdempotencyExceptionOptions,
  type IdempotencyProblem,
  isIdempotencyError,
} from './operation/idempotency.exception.js';
export {
  IdempotencyService,
  type OperationRef,
  type OperationView,
  type RunOptions,
} from './idempotency.service.js';
export type { EncryptionOptions } from './encryption/encryption-options.js';
export { Idempotent } from './decorators/idempotent.decorator.js';
export { SkipIdempotency } from './decorators/skip-idempotency.decorator.js';
export type { CoverageEntry } from './handlers/coverage.js';
export { Operation } from './decorators/operation.decorator.js';
export { IdempotencyGuard } from './transports/idempotency.guard.js';
export { IdempotencyInterceptor } from './transports/idempotency.interceptor.js';
export type { IdempotentOperation } from './operation/idempotent-operation.js';
export { type AbandonedCall, type RecoveredReply, recoveredReply } from './operation/recovery.js';
export { type Clock, type CancelTimer, systemClock } from './engine/clock.js';
export {
  IdempotencyConfigurationError,
  isIdempotencyConfigurationError,
} from './engine/configuration-error.js';
export type { Duration } from './engine/duration.js';
export type * from './engine/events.js';
export { type IdempotencyErrorCode, type Refusal, REFUSALS } from './engine/refusals.js';
export type { Precondition, Unmet } from './engine/resource.js';
export type {
  Expectation,
  Resource,
  ResourceRequest,
  Resources,
  ResourceValue,
} from './engine/resource.js';
export type * from './engine/store.js';
export type { StoreCall, StoreCallName } from './engine/store-calls.js';
export type { OperationManager, OperationManagers } from './engine/transaction.js';
export { StoreFullError } from './engine/store.js';
export * from './keys/index.js';
export { CHANNEL_PREFIX, STORE_CALL_CHANNEL } from './observability/idempotency-events.js';
export type {
  ErrorReply,
  HeaderField,
  HttpReply,
  NotKept,
  Reply,
  ValueReply,
} from './replies/reply.js';
export { MemoryStore } from './stores/memory/index.js';
export { IdempotencyStrategy } from './strategies/strategy-registry.js';
export type {
  IdempotencyStrategyContract,
  PublishedAnswers,
  PublishedRefusal,
  StrategyCall,
  StrategyContext,
  StrategyPlan,
} from './strategies/strategy.js';
export type {
  QueueStrategyOptions,
  RowId,
  State,
  StateOptions,
  TokenStrategyOptions,
  Transitions,
  VersionOptions,
} from './options/strategy-options.js';
export { TokenController } from './transports/http/token.controller.js';
export {
  TOKEN_CONTROLLER_DEFAULTS,
  TOKEN_DEFAULTS,
  type TokenControllerOptions,
  type TokenOptions,
} from './options/token-options.js';
export { type IssuedToken, type TokenRequest, TokenService } from './tokens/token.service.js';
