import { type EventSink, subjectOf } from './events.js';
import type { OperationRequest, Refused, Replay, Unprotected } from './operation.js';
import { type IdempotencyErrorCode, REFUSALS } from './refusals.js';
import type { Limited } from './store.js';
import { isOtherCaller } from './waiting.js';

/** Answers calls that do not own their operation, and publishes the event for each answer. */
export class Answers {
  constructor(private readonly events: EventSink) {}

  /** The operation has already finished. */
  duplicate(request: OperationRequest, reply: Uint8Array): Replay | Refused {
    return request.policy.onDuplicate === 'reject'
      ? this.refuse(request, 'IDEMPOTENCY_DUPLICATE')
      : this.replay(request, reply);
  }

  replay(request: OperationRequest, reply: Uint8Array): Replay {
    if (this.events.hasListeners) this.events.emit({ type: 'replayed', ...subjectOf(request) });
    return { outcome: 'replay', reply };
  }

  /** The key belongs to another call: to other content, or to the same content of another caller. */
  reused(request: OperationRequest, recorded: string): Refused {
    const code = 'IDEMPOTENCY_KEY_REUSED';
    return isOtherCaller(recorded, request.fingerprint)
      ? this.refuse(request, code, { unmet: { code, ...OTHER_CALLER } })
      : this.refuse(request, code);
  }

  refuse(
    request: OperationRequest,
    code: IdempotencyErrorCode,
    { cause, unmet }: Pick<Refused, 'cause' | 'unmet'> = {},
  ): Refused {
    if (this.events.hasListeners)
      this.events.emit({ type: 'rejected', ...subjectOf(request), code, cause });
    const retryAfterMs = REFUSALS[code].retryable ? request.policy.retryAfterMs : undefined;
    return { outcome: 'refused', code, retryAfterMs, cause, unmet };
  }

  /** The caller may begin nothing new for now. */
  limited(request: OperationRequest, { limit, retryAfterMs }: Limited): Refused {
    const code = 'IDEMPOTENCY_LIMIT_EXCEEDED';
    const refused = this.refuse(request, code, {
      unmet: { code, members: { limit: limit === 'newKeys' ? 'newKeysPerMinute' : limit } },
    });
    return { ...refused, retryAfterMs: Math.max(request.policy.retryAfterMs, retryAfterMs) };
  }

  /** The record could not be read. */
  storeFailed(request: OperationRequest, cause: unknown): Refused | Unprotected {
    const { policy, refuseUnknown } = request;
    // A key that must be on record could be invented.
    if (policy.onStoreFailure === 'reject' || refuseUnknown !== undefined) {
      return this.refuse(request, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
    }
    if (this.events.hasListeners)
      this.events.emit({ type: 'unprotected', ...subjectOf(request), cause });
    return { outcome: 'unprotected' };
  }
}

const OTHER_CALLER = {
  members: { differs: 'credentials' },
  detail:
    'The content is the same, but this key was used with other credentials. Repeat it with those of the first call, or send a new key if that call is not yours.',
};
