export { IdempotencyModule } from './idempotency.module.js';
export { CORS_ALLOWED_HEADERS, CORS_EXPOSED_HEADERS } from './idempotency.cors.js';
export {
  IdempotencyService,
  type OperationRef,
  type RecordRef,
  type RunOptions,
} from './idempotency.service.js';
export { Idempotent } from './decorators/idempotent.decorator.js';
export { Operation } from './decorators/operation.decorator.js';
export { SkipIdempotency } from './decorators/skip-idempotency.decorator.js';
export type { EncryptionOptions } from './encryption/encryption-options.js';
export {
  IdempotencyConfigurationError,
  isIdempotencyConfigurationError,
} from './engine/configuration-error.js';
export type { Duration } from './engine/duration.js';
export { EVENT_TYPES, type IdempotencyEvent } from './engine/events.js';
export type { IdempotencyErrorCode } from './engine/refusals.js';
export type { CoverageEntry } from './handlers/coverage.js';
export type { IdempotentCall, IncomingRequest } from './keys/call.js';
export { cloudEventId } from './keys/cloud-event.js';
export { header } from './keys/header-source.js';
export { ifMatch } from './keys/if-match.js';
export type { KeyDeclaration } from './keys/key-source.js';
export {
  arg,
  body,
  keySource,
  messageId,
  param,
  payload,
  principal,
  query,
} from './keys/key-sources.js';
export { repeatability } from './keys/repeatability.js';
export { signature } from './keys/signature.js';
export { tick } from './keys/tick.js';
export { webhookEvent } from './keys/webhook-event.js';
export {
  IdempotencyException,
  type IdempotencyProblem,
  isIdempotencyError,
} from './operation/idempotency.exception.js';
export type { IdempotentOperation } from './operation/idempotent-operation.js';
export { type AbandonedCall, recoveredReply } from './operation/recovery.js';
export type {
  ErrorDecision,
  IdempotencyModuleOptions,
  IdempotencyStrategies,
  IdempotentDeclaration,
  IdempotentOptions,
} from './options/idempotency.options.js';
export type { OperationView } from './operators/operator-records.js';
export { IDEMPOTENCY_STORE } from './options/module-definition.js';
export type {
  QueueStrategyOptions,
  StateOptions,
  TokenStrategyOptions,
  Transitions,
  VersionOptions,
} from './options/strategy-options.js';
export type { TokenOptions } from './options/token-options.js';
export { replyType } from './replies/known-types.js';
export { MemoryStore, type MemoryStoreOptions } from './stores/memory/memory.store.js';
export { type IssuedToken, TokenService } from './tokens/token.service.js';
