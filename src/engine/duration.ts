import { wrongOption } from './configuration-error.js';

/** Milliseconds, seconds, minutes, hours, days. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

const MS_PER_UNIT = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const satisfies Record<DurationUnit, number>;

/** Milliseconds, or a number with its unit: `250`, `'250ms'`, `'10s'`, `'5m'`, `'1.5h'`, `'30d'`. */
export type Duration = number | `${number}${DurationUnit}`;

const DURATION = /^(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d)$/;

/** 100 years. Longer ones overflow the timestamps of one store or another. */
const LONGEST_MS = 36_500 * MS_PER_UNIT.d;

export interface DurationRules {
  /** True where `0` has a meaning of its own. @default false */
  readonly zero?: boolean;
}

/**
 * A duration in whole milliseconds, rounded.
 *
 * @param option the option as the application writes it, for the error
 * @throws {@link IdempotencyConfigurationError} if the value is not a duration, is negative, is
 *   longer than 36500 days, or is zero where zero has no meaning
 */
export function parseDuration(
  option: string,
  value: number | string,
  { zero = false }: DurationRules = {},
): number {
  const ms = Math.round(typeof value === 'number' ? value : millisecondsOf(value));
  // NaN fails both comparisons. `+ 0` turns -0 into 0.
  if (ms >= (zero ? 0 : 1) && ms <= LONGEST_MS && !isNegative(value)) return ms + 0;
  throw wrongOption(
    option,
    value,
    `milliseconds as a number or a duration such as '250ms', '10s', '5m', '1.5h' or '30d', ${
      zero ? '0 or more' : 'more than 0'
    } and at most '36500d'`,
    `Give ${option} a number with one of the units ms, s, m, h, d.`,
  );
}

function millisecondsOf(text: unknown): number {
  const [, amount, unit] = typeof text === 'string' ? (DURATION.exec(text) ?? []) : [];
  return unit === undefined ? NaN : Number(amount) * MS_PER_UNIT[unit as DurationUnit];
}

function isNegative(value: unknown): boolean {
  return typeof value === 'number' && value < 0;
}
