import type {
  AbandonedDecision,
  AbandonedOperation,
  OperationRequest,
} from '../engine/operation.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { encodeHttpReply, encodeValueReply } from '../replies/codec.js';
import { sentAsJson } from '../replies/json-view.js';
import type { Keeping } from '../replies/kept-value.js';
import { NotKeepableError } from '../replies/not-keepable.js';
import type { HeaderField } from '../replies/reply.js';
import { deriveKey, savedId } from '../operation/current-operation.js';
import { isResultNotKept, stepResult, valuesOf } from '../operation/steps.js';
import type { ReplyValues } from '../replies/values.js';
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
  values: ReplyValues,
  encode: (reply: RecoveredReply) => Uint8Array,
): OperationRequest['recover'] {
  if (typeof onAbandoned !== 'function') return undefined;
  return async ({
    attempt,
    steps,
  }: AbandonedOperation): Promise<AbandonedDecision | Uint8Array> => {
    let unknown: unknown;
    let decision: AbandonedDecision | RecoveredReply;
    try {
      decision = await onAbandoned({
        ...identity,
        attempt,
        deriveKey: (name) => deriveKey(id, name),
        id: (name) => savedId(steps, name),
        stepResult: (name, options) => {
          const saved = steps.get(name);
          if (saved === undefined) return undefined;
          try {
            return stepResult(saved, valuesOf(name, values, options));
          } catch (error) {
            if (isResultNotKept(error)) unknown = error;
            throw error;
          }
        },
      });
    } catch (error) {
      if (error === unknown) return 'hold';
      throw error;
    }
    if (isRecoveredReply(decision)) return encode(decision);
    return decision === 'rerun' ? 'rerun' : 'hold';
  };
}

/**
 * @throws {@link NotKeepableError} for a value that JSON does not have, and for one that
 *   `class-transformer` would show differently, because no serializer is asked
 */
export function encodeRecoveredHttpReply(
  { value, status = 200, headers }: RecoveredReply,
  keeping: Keeping,
): Uint8Array {
  if (value === undefined) return encodeHttpReply(status, headers, new Uint8Array());
  if (value instanceof Uint8Array)
    return encodeHttpReply(status, withType(headers, 'application/octet-stream'), value);
  return typeof value === 'string'
    ? encodeHttpReply(status, withType(headers, 'text/plain; charset=utf-8'), Buffer.from(value))
    : encodeHttpReply(
        status,
        withType(headers, 'application/json; charset=utf-8'),
        Buffer.from(jsonOf(value, keeping)),
      );
}

function jsonOf(value: unknown, keeping: Keeping): string {
  const text = JSON.stringify(sentAsJson(value, keeping)) as string | undefined;
  if (text === undefined)
    throw new NotKeepableError(undefined, `a ${typeof value}`, 'JSON does not have');
  return text;
}

/** @throws {@link NotKeepableError} for a value that cannot be kept */
export function encodeRecoveredValue({ value }: RecoveredReply, keeping: Keeping): Uint8Array {
  return encodeValueReply(value, keeping);
}

function withType(headers: readonly HeaderField[], type: string): readonly HeaderField[] {
  const isGiven = headers.some(([name]) => name.toLowerCase() === 'content-type');
  return isGiven ? headers : [...headers, ['Content-Type', type]];
}
