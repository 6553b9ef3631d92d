import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import type { KeyContext, KeySource } from './key-source.js';

/**
 * The moment at which a scheduled method was due, so that it runs once per tick across all
 * instances of an application. It comes from the clock of the process, whose timer calls the
 * method.
 *
 * Without a period, the method's `@Cron()` or `@Interval()` of `@nestjs/schedule` decides: the last
 * moment at which the expression was due, in its time zone, or the nearest multiple of the
 * interval.
 *
 * @param every for a method that something else calls: the tick is the nearest multiple of this
 *   period, counted from the beginning of 1970 (UTC). Calls within half a period before or after it
 *   are the same tick
 * @throws {@link IdempotencyConfigurationError} if the period is invalid; and when the
 *   application boots, if there is no period and each instance has its own ticks
 *
 * @example
 * ```ts
 * @Cron('0 3 * * *', { timeZone: 'Europe/Berlin' })
 * @Idempotent({ key: tick() })
 * async cleanUp() {}
 * ```
 */
export function tick(every?: Duration): KeySource {
  if (every === undefined)
    return { ...momentSource('tick', () => undefined), resolve: scheduledTick };
  const everyMs = parseDuration('key: tick()', every);
  return momentSource(`tick of ${every}`, (nowMs) => nearestMultiple(nowMs, everyMs));
}

/** The multiple of a period that is nearest to a moment, in milliseconds since 1970. */
export function nearestMultiple(nowMs: number, everyMs: number): number {
  return Math.round(nowMs / everyMs) * everyMs;
}

function scheduledTick({ schedule }: KeyContext): KeySource {
  if (schedule?.dueAt === undefined) {
    throw wrongOption(
      'key',
      `tick() on a method ${schedule === undefined ? 'that nothing schedules' : 'that is due at other times in each process'}`,
      'tick() on a method of a provider with @Cron() or @Interval() of @nestjs/schedule',
      "Name the period of the calls, such as tick('5m').",
    );
  }
  // The tick is the whole content of the call, whoever makes it.
  return { ...momentSource('tick', schedule.dueAt), coversContent: true };
}

function momentSource(
  description: string,
  momentOf: (nowMs: number) => Awaitable<number | undefined>,
): KeySource {
  return {
    description,
    readsOnlyHead: false,
    coversContent: false,
    read() {
      return chain(momentOf(Date.now()), (momentMs) =>
        momentMs === undefined ? undefined : new Date(momentMs).toISOString(),
      );
    },
  };
}
