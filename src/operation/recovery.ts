import { validateHeaderName, validateHeaderValue } from 'node:http';
import { wrongOption } from '../engine/configuration-error.js';
import type { HeaderField } from '../replies/reply.js';
import type { StepOptions } from './idempotent-operation.js';

/** An operation whose last owner stopped renewing its lease. */
export interface AbandonedCall {
  /**
   * The key of the call that asks.
   *
   * @throws {@link IdempotencyConfigurationError} in a sweep, because no store has it
   */
  readonly key: string;
  readonly scope: string;
  /**
   * Who is calling; `undefined` for an anonymous caller.
   *
   * @throws {@link IdempotencyConfigurationError} in a sweep, as for the key
   */
  readonly principal: string | undefined;
  /** What the option `label` said, such as an order number. */
  readonly label: string | undefined;
  /** True if no call waits: a {@link IdempotencyModuleOptions.sweep | sweep} asks. */
  readonly isSweep: boolean;
  /** The attempt that would run now. */
  readonly attempt: number;
  /** Like {@link IdempotentOperation.deriveKey}: use the same key to ask the downstream system. */
  deriveKey(name: string): string;
  /** What {@link IdempotentOperation.id} returned; `undefined` if no attempt asked for an id. */
  id(name?: string): string | undefined;
  /**
   * What a finished step of an earlier attempt returned; `undefined` if it did not finish. Give the
   * step's `returns` again, if it has any.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_OUTCOME_UNKNOWN` if it finished and its result was
   *   not kept, which holds the operation unless you catch it; `IDEMPOTENCY_RECORD_UNREADABLE`
   */
  stepResult(name: string, options?: StepOptions): unknown;
}

const BRAND = Symbol.for('nestjs-idempotency:recovered-reply');

/** A reply that was found out, without running the handler again. */
export interface RecoveredReply {
  readonly [BRAND]: true;
  readonly value: unknown;
  readonly status: number | undefined;
  readonly headers: readonly HeaderField[];
}

export function isRecoveredReply(value: unknown): value is RecoveredReply {
  return typeof value === 'object' && value !== null && BRAND in value;
}

const LEAST_STATUS = 200;
const GREATEST_STATUS = 999;

/** What Node refuses to send would be on record, and every retry would fail. */
function checkHead(status: number | undefined, headers: Readonly<Record<string, string>>): void {
  const isStatus =
    Number.isInteger(status) && status! >= LEAST_STATUS && status! <= GREATEST_STATUS;
  if (status !== undefined && !isStatus)
    throw wrongOption(
      'status of recoveredReply()',
      status,
      `a whole number from ${LEAST_STATUS} to ${GREATEST_STATUS}`,
      'Give the status that the handler would have sent.',
    );
  for (const [name, value] of Object.entries(headers))
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw wrongOption(
        'headers of recoveredReply()',
        name,
        'names and values that HTTP has (RFC 9110, section 5)',
        'Leave the header out, or encode its value.',
      );
    }
}

/**
 * For `onAbandoned` and `settle()`: records this as the operation's reply. Over HTTP, strings and bytes
 * are sent as they are, and everything else as JSON. Elsewhere the caller gets the value.
 *
 * @param options `status` is 200 by default; there are no `headers` by default
 * @throws {@link IdempotencyConfigurationError} for a status or a header that HTTP does not have
 */
export function recoveredReply(
  value: unknown,
  options: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): RecoveredReply {
  const { status, headers = {} } = options;
  checkHead(status, headers);
  return { [BRAND]: true, value, status, headers: Object.entries(headers) };
}
