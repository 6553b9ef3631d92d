import type { OperationPolicy } from '../engine/operation.js';
import type { ProtectedLayer } from '../handlers/protected-handler.js';
import type { PublishedAnswers, PublishedRefusal, StrategyPlan } from '../strategies/strategy.js';

/** What API descriptions say of one `@Idempotent()`, beside its key and its policy. */
export interface PublishedLayer {
  /** Everything that this library may refuse a call of it with. */
  readonly refusals: readonly PublishedRefusal[];
  /** Whether a duplicate of what has finished gets the recorded reply. */
  readonly replays: boolean;
  readonly headers: NonNullable<PublishedAnswers['headers']>;
  readonly reply: PublishedAnswers['reply'];
}

/** Works out what API descriptions say of a layer. Nothing of it changes what the layer does. */
export function publishedLayer(layer: ProtectedLayer): PublishedLayer {
  const { options, plan, policy } = layer;
  const { unmet = [], headers = {}, reply } = plan.published ?? {};
  return {
    refusals: [
      ...refusalsOfKey(layer),
      ...refusalsOfContent(layer),
      ...refusalsOfRecord(plan, policy),
      ...unmet,
      ...refusalsOfStore(layer),
    ],
    replays: plan.keepsReply && (policy.onDuplicate === 'replay' || options.recover !== undefined),
    headers,
    reply,
  };
}

function* refusalsOfKey({ plan, key, required }: ProtectedLayer): Generator<PublishedRefusal> {
  const { missing, invalid } = plan.refusals ?? {};
  if (required && !key.sources.every(({ isNeverMissing }) => isNeverMissing))
    yield { code: missing ?? 'IDEMPOTENCY_KEY_REQUIRED' };
  if (!key.sources.every(({ isNeverInvalid }) => isNeverInvalid))
    yield { code: invalid ?? 'IDEMPOTENCY_KEY_INVALID' };
}

function* refusalsOfContent({ plan, key, options }: ProtectedLayer): Generator<PublishedRefusal> {
  const comparesContent = plan.comparesContent && options.fingerprint !== false;
  // Without a principal, callers are told apart whatever is compared.
  if (!key.coversContent && (plan.comparesContent || plan.keepsReply))
    yield { code: 'IDEMPOTENCY_KEY_REUSED' };
  if (!key.coversContent && !comparesContent) return;
  yield { code: 'IDEMPOTENCY_CONTENT_NOT_PARSED' };
  yield { code: 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE' };
}

function* refusalsOfRecord(
  { keepsReply }: StrategyPlan,
  { onDuplicate }: OperationPolicy,
): Generator<PublishedRefusal> {
  yield { code: 'IDEMPOTENCY_KEY_IN_USE' };
  if (!keepsReply) return;
  if (onDuplicate === 'reject') yield { code: 'IDEMPOTENCY_DUPLICATE' };
  // Also where duplicates are rejected: whoever was overtaken is answered with what the winner left.
  yield { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' };
  yield { code: 'IDEMPOTENCY_REPLY_NOT_KEPT' };
  yield { code: 'IDEMPOTENCY_RECORD_UNREADABLE' };
}

function* refusalsOfStore({
  plan,
  policy,
  transaction,
}: ProtectedLayer): Generator<PublishedRefusal> {
  // What a strategy compares or commits is never left out.
  if (policy.onStoreFailure === 'reject' || transaction !== undefined || plan.begin !== undefined)
    yield { code: 'IDEMPOTENCY_STORE_UNAVAILABLE' };
}
