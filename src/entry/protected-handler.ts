import type { Awaitable } from '../engine/awaitable.js';
import type { OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { ErrorDecision, IdempotentOptions } from '../idempotency.options.js';
import type { IdempotentCall } from '../keys/call.js';
import type { ResolvedKey } from '../keys/resolve-key.js';

/** Everything about one protected handler, worked out when the application boots. */
export interface ProtectedHandler {
  /** `ClassName.methodName`. */
  readonly name: string;
  /** What `@Idempotent()` made of the method; decorators above may have wrapped it once more. */
  readonly method: unknown;
  /** The namespace of its keys; with several routes, that of the first. */
  readonly scope: string;
  /** Only with several routes: the scope of each, by its path. */
  readonly scopesByPath: ReadonlyMap<string, string> | undefined;
  readonly key: ResolvedKey;
  readonly required: boolean;
  readonly policy: OperationPolicy;
  readonly keepsReply: boolean;
  /** Record and work are one transaction. */
  readonly transaction: OperationRequest['transaction'];
  readonly fingerprint: (call: IdempotentCall) => Awaitable<string>;
  readonly principal: (call: IdempotentCall) => Awaitable<string | undefined>;
  readonly onError: ((error: unknown, status: number) => Awaitable<ErrorDecision>) | undefined;
  readonly recover: IdempotentOptions['recover'];
}
