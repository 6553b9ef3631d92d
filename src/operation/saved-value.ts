import { deserialize } from 'node:v8';
import { IdempotencyException } from './idempotency.exception.js';

/**
 * The result of a step, as it is on record.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE` for bytes that are none, such as
 * those that were sealed before encryption was switched off
 */
export function savedValue(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
  }
}
