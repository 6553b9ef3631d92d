import type { OperationPolicy } from '../engine/operation.js';
import type { ProtectedLayer } from '../handlers/protected-handler.js';
import type { PublishedAnswers, PublishedRefusal, StrategyPlan } from '../strategies/strategy.js';

/** What API descriptions say about one `@Idempotent()`, beyond its key and policy. */
export interface PublishedLayer {
  /** Every refusal that a call of it may get. */
  readonly refusals: readonly PublishedRefusal[];
  /** Whether a duplicate of a finished operation gets the recorded reply. */
  readonly replays: boolean;
  readonly headers: NonNullable<PublishedAnswers['headers']>;
  readonly reply: PublishedAnswers['reply'];
}

/** Computes what API descriptions say about a layer. It does not change what the layer does. */
export function publishedLayer(layer: ProtectedLayer): PublishedLayer {
  const { options, plan, policy } = layer;
  const { unmet = [], headers = {}, reply } = plan.published ?? {};
  const refusals = [
    ...refusalsOfKey(layer),
    ...refusalsOfContent(layer),
    ...refusalsOfRecord(plan, policy),
    ...unmet,
    ...refusalsOfStore(layer),
  ];
  const statuses = layer.key.sources.find((source) => source.statuses)?.statuses ?? {};
  return {
    refusals: refusals.map((one) => ({ status: statuses[one.code], ...one })),
    replays:
      plan.keepsReply &&
      (policy.onDuplicate === 'replay' || typeof options.onAbandoned === 'function'),
    headers,
    reply,
  };
}

function* refusalsOfKey({ plan, key, required, age }: ProtectedLayer): Generator<PublishedRefusal> {
  const { missing, invalid } = plan.refusals ?? {};
  if (required && !key.sources.every(({ isNeverMissing }) => isNeverMissing))
    yield { code: missing ?? 'IDEMPOTENCY_KEY_REQUIRED' };
  if (!key.sources.every(({ isNeverInvalid }) => isNeverInvalid))
    yield { code: invalid ?? 'IDEMPOTENCY_KEY_INVALID' };
  if (age !== undefined) yield { code: 'IDEMPOTENCY_KEY_EXPIRED' };
  for (const { refusals = [] } of key.sources) for (const code of refusals) yield { code };
}

function* refusalsOfContent({ plan, key, options }: ProtectedLayer): Generator<PublishedRefusal> {
  const comparesContent = plan.comparesContent && options.fingerprint !== false;
  // Without a principal, callers are told apart even if no content is compared.
  if (!key.coversContent && (plan.comparesContent || plan.keepsReply))
    yield { code: 'IDEMPOTENCY_KEY_REUSED' };
  if (!key.coversContent && !comparesContent) return;
  yield { code: 'IDEMPOTENCY_CONTENT_NOT_PARSED' };
  yield { code: 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE' };
}

function* refusalsOfRecord(
  { keepsReply }: StrategyPlan,
  { onDuplicate, maxAttempts }: OperationPolicy,
): Generator<PublishedRefusal> {
  yield { code: 'IDEMPOTENCY_KEY_IN_USE' };
  if (!keepsReply) return;
  if (onDuplicate === 'reject') yield { code: 'IDEMPOTENCY_DUPLICATE' };
  // Even if duplicates are rejected: an owner whose operation was taken over gets what the winner
  // recorded.
  yield { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' };
  if (maxAttempts !== undefined) yield { code: 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED' };
  yield { code: 'IDEMPOTENCY_REPLY_NOT_KEPT' };
  yield { code: 'IDEMPOTENCY_REPLY_NOT_ACCEPTABLE' };
  yield { code: 'IDEMPOTENCY_RECORD_UNREADABLE' };
}

function* refusalsOfStore({
  plan,
  policy,
  transaction,
}: ProtectedLayer): Generator<PublishedRefusal> {
  // A strategy's comparison or commit is never skipped.
  if (policy.onStoreFailure === 'reject' || transaction !== undefined || plan.begin !== undefined)
    yield { code: 'IDEMPOTENCY_STORE_UNAVAILABLE' };
  if (policy.onRecordFailure === 'fail' && policy.keepsReply && transaction === undefined)
    yield { code: 'IDEMPOTENCY_RESULT_PENDING' };
}
