import type {
  AbandonedDecision,
  AbandonedOperation,
  OperationRequest,
} from '../engine/operation.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { encodeHttpReply, encodeValueReply } from '../replies/codec.js';
import type { Keeping } from '../replies/kept-value.js';
import type { HeaderField } from '../replies/reply.js';
import { deriveKey, savedId, savedValue } from '../operation/current-operation.js';
import { isRecoveredReply, type RecoveredReply } from '../operation/recovery.js';

interface KnownIdentity {
  readonly key: string;
  readonly scope: string;
  readonly principal: string | undefined;
}

/**
 * Turns an `onAbandoned` function into the function that the engine calls. An answer that is none of
 * the possible ones holds the operation.
 */
export function recovery(
  onAbandoned: IdempotentOptions['onAbandoned'],
  identity: KnownIdentity,
  id: string,
  encode: (reply: RecoveredReply) => Uint8Array,
): OperationRequest['recover'] {
  if (typeof onAbandoned !== 'function') return undefined;
  return async ({
    attempt,
    steps,
  }: AbandonedOperation): Promise<AbandonedDecision | Uint8Array> => {
    const decision = await onAbandoned({
      ...identity,
      attempt,
      deriveKey: (name) => deriveKey(id, name),
      id: (name) => savedId(steps, name),
      stepResult: (name) => {
        const saved = steps.get(name);
        return saved === undefined ? undefined : savedValue(saved);
      },
    });
    if (isRecoveredReply(decision)) return encode(decision);
    return decision === 'rerun' ? 'rerun' : 'hold';
  };
}

export function encodeRecoveredHttpReply({
  value,
  status = 200,
  headers,
}: RecoveredReply): Uint8Array {
  if (value === undefined) return encodeHttpReply(status, headers, new Uint8Array());
  if (value instanceof Uint8Array)
    return encodeHttpReply(status, withType(headers, 'application/octet-stream'), value);
  return typeof value === 'string'
    ? encodeHttpReply(status, withType(headers, 'text/plain; charset=utf-8'), Buffer.from(value))
    : encodeHttpReply(
        status,
        withType(headers, 'application/json; charset=utf-8'),
        Buffer.from(JSON.stringify(value)),
      );
}

/** @throws {@link NotKeepableError} for a value that cannot be kept */
export function encodeRecoveredValue({ value }: RecoveredReply, keeping: Keeping): Uint8Array {
  return encodeValueReply(value, keeping);
}

function withType(headers: readonly HeaderField[], type: string): readonly HeaderField[] {
  const isGiven = headers.some(([name]) => name.toLowerCase() === 'content-type');
  return isGiven ? headers : [...headers, ['Content-Type', type]];
}
