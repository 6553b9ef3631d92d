import type { HeaderField } from '../replies/reply.js';

/** An operation whose last owner fell silent. */
export interface AbandonedCall {
  readonly key: string;
  readonly scope: string;
  readonly principal: string | undefined;
  /** The attempt that would run now. */
  readonly attempt: number;
  /** As {@link IdempotentOperation.deriveKey}: asks the downstream system with the same key. */
  deriveKey(name: string): string;
  /** What {@link IdempotentOperation.id} answered; `undefined` when nobody had asked for an id. */
  id(name?: string): string | undefined;
  /** What a finished step of an earlier attempt returned; `undefined` when it did not finish. */
  stepResult(name: string): unknown;
}

const BRAND = Symbol.for('nestjs-idempotency:recovered-reply');

/** A reply that was found out instead of being made again. */
export interface RecoveredReply {
  readonly [BRAND]: true;
  readonly value: unknown;
  readonly status: number | undefined;
  readonly headers: readonly HeaderField[];
}

/**
 * For `recover` and `settle()`: records this as the operation's reply. Over HTTP a string or bytes are sent as
 * they are, everything else as JSON; elsewhere the value is what the caller gets.
 *
 * @param options `status` is 200 and `headers` are none unless given
 */
export function recoveredReply(
  value: unknown,
  options: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): RecoveredReply {
  const { status, headers = {} } = options;
  return { [BRAND]: true, value, status, headers: Object.entries(headers) };
}
