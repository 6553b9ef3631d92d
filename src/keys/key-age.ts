import { type Awaitable, isPending } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import type { IdempotentCall } from './call.js';
import { InvalidKeyError, type KeySource, type ResolvedKey } from './key-source.js';

/** How old a key may be whose operation is not on record. */
export interface KeyAge {
  /** The option, in milliseconds; absent for as long as records are kept. */
  readonly mostMs: number | undefined;
  /**
   * When the call was first sent, in milliseconds since 1970.
   *
   * @throws {@link InvalidKeyError} if the key does not say so
   */
  sentAt(call: IdempotentCall): Awaitable<number>;
}

/** How old one call's key may be, and how long its record has to be kept for that. In milliseconds. */
export interface AgeBounds {
  readonly mostMs: number;
  /** A key from further in the future is refused. */
  readonly aheadMs: number;
  readonly keepForMs: number;
}

/** RFC 9562, section 5.7. */
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** How far the clocks of client and server may differ, in milliseconds. */
const SKEW_MS = 60_000;
/** With a short ttl, it is this part of it. */
const SKEW_PART = 1 / 4;

/**
 * What says how old a call's key is; `undefined` if nobody asks.
 *
 * @param ttlMs how long records are kept, if that does not depend on the call
 * @throws {@link IdempotencyConfigurationError} for a key that cannot have a time, and for a time longer
 *   than a record is kept: between the two, a late retry would run again
 */
export function resolveKeyAge(
  maxAge: Duration | undefined,
  key: ResolvedKey,
  ttlMs: number | undefined,
): KeyAge | undefined {
  const isTimed = key.sources.some((source) => source.sentAt !== undefined);
  if (maxAge === undefined && !isTimed) return undefined;
  const mostMs = maxAge === undefined ? undefined : parseDuration('maxAge', maxAge);
  if (mostMs !== undefined && ttlMs !== undefined && mostMs > ttlMs)
    throw wrongOption(
      'maxAge',
      maxAge,
      'no longer than ttl',
      'Give ttl at least this time: a retry that comes after its record is gone must be refused.',
    );
  if (!isTimed && key.coversContent)
    throw wrongOption(
      'maxAge',
      maxAge,
      `nothing with ${key.description}, which has no time`,
      'Leave it out, or take a key that the client makes: a UUIDv7, or repeatability().',
    );
  return { mostMs, sentAt: (call) => youngest(key, call) };
}

/** Of a record that is kept for so long. A key that is accepted is younger than its record may become. */
export function ageBounds({ mostMs }: KeyAge, ttlMs: number): AgeBounds {
  const aheadMs = Math.min(SKEW_MS, ttlMs * SKEW_PART);
  const most = Math.min(mostMs ?? Infinity, ttlMs - aheadMs);
  return { mostMs: most, aheadMs, keepForMs: most + aheadMs };
}

/** Every part of the key was there when the call was first sent. */
function youngest({ sources, description }: ResolvedKey, call: IdempotentCall): Awaitable<number> {
  const times = sources.map((source) => timeOf(source, call));
  return times.some(isPending)
    ? Promise.all(times.map(async (time) => time)).then((known) => greatest(known, description))
    : greatest(times as (number | undefined)[], description);
}

function timeOf(source: KeySource, call: IdempotentCall): Awaitable<number | undefined> {
  if (source.sentAt !== undefined) return source.sentAt(call);
  const part = source.read(call);
  return isPending(part) ? Promise.resolve(part).then(timeOfUuid) : timeOfUuid(part);
}

function timeOfUuid(part: string | undefined): number | undefined {
  const [, high, low] = UUID_V7.exec(part ?? '') ?? [];
  return high === undefined ? undefined : Number.parseInt(high + low!, 16);
}

function greatest(times: readonly (number | undefined)[], description: string): number {
  const known = times.filter((time) => time !== undefined);
  if (known.length > 0) return Math.max(...known);
  throw new InvalidKeyError(
    `The idempotency key from ${description} does not say when it was made. Send a UUIDv7.`,
  );
}
