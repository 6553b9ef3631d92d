import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { Awaitable } from '../../engine/awaitable.js';
import { InvalidKeyError } from '../../keys/key-source.js';

/** The metadata that `@Cron()` leaves on a method. */
export interface CronDeclaration {
  readonly name?: string;
  /** An expression, or the only moment at which the job is due. */
  readonly cronTime: string | { valueOf(): number };
  readonly timeZone?: string;
  /** In minutes. */
  readonly utcOffset?: number;
}

/** Both in milliseconds since 1970. */
type NextAfter = (moment: number) => number;

/** The class of the package `cron`. */
interface CronTime {
  readonly source: unknown;
  readonly timeZone?: string;
  readonly utcOffset?: number;
  /** @param zone a name, or minutes */
  getNextDateFrom(start: Date, zone: string | number): { toMillis(): number };
}

/** The `SchedulerRegistry` of `@nestjs/schedule`, which may not be installed. */
interface SchedulerRegistry {
  getCronJobs(): ReadonlyMap<string, { readonly cronTime: CronTime }>;
}

/** The cron jobs of the application. They know when they are due, in any time zone. */
@Injectable()
export class CronJobs {
  private registry: SchedulerRegistry | undefined;

  constructor(private readonly discovery: DiscoveryService) {}

  /**
   * When the job of a method is next due after a moment. A job that becomes due while it is being
   * created is called before it is registered. It is registered once the code that creates it has
   * ended.
   *
   * @throws {@link InvalidKeyError} if there is no such job
   */
  nextOf(declared: CronDeclaration): Awaitable<NextAfter> {
    return this.find(declared) ?? Promise.resolve().then(() => this.find(declared) ?? notThere());
  }

  private find(declared: CronDeclaration): NextAfter | undefined {
    const time = this.timeOf(declared);
    if (time === undefined) return undefined;
    const zone = zoneOf(time);
    return (moment) => time.getNextDateFrom(new Date(moment), zone).toMillis();
  }

  /**
   * The job with the same name, which may have been rescheduled; or else any job with the same
   * times.
   */
  private timeOf(declared: CronDeclaration): CronTime | undefined {
    this.registry ??= this.findRegistry();
    const jobs = this.registry?.getCronJobs();
    if (declared.name) return jobs?.get(declared.name)?.cronTime;
    for (const { cronTime } of jobs?.values() ?? [])
      if (isDeclaredSo(cronTime, declared)) return cronTime;
    return undefined;
  }

  private findRegistry(): SchedulerRegistry | undefined {
    const wrapper = this.discovery
      .getProviders()
      .find(({ metatype }) => isSchedulerRegistry(metatype));
    return wrapper?.instance as SchedulerRegistry | undefined;
  }
}

function notThere(): never {
  throw new InvalidKeyError(
    'There is no tick: the method has no job in the ScheduleModule of the application.',
  );
}

/** `cron` before version 4 does not default to the zone of the process. */
function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function zoneOf({ timeZone, utcOffset }: CronTime): string | number {
  if (utcOffset === undefined) return timeZone ?? ownZone();
  // 0 would be treated as absent.
  return utcOffset === 0 ? 'UTC' : utcOffset;
}

function isSchedulerRegistry(metatype: unknown): boolean {
  const prototype: unknown = typeof metatype === 'function' ? metatype.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null && 'getCronJobs' in prototype;
}

function isDeclaredSo(time: CronTime, { cronTime, timeZone, utcOffset }: CronDeclaration): boolean {
  return (
    time.source === cronTime &&
    time.utcOffset === utcOffset &&
    (utcOffset !== undefined || zoneOf(time) === (timeZone ?? ownZone()))
  );
}

/** Schedules are no finer than this, in milliseconds. */
const FINEST_MS = 1_000;

/**
 * The last moment at or before `nowMs` at which something was due. Schedules only tell what is due
 * next after a moment, so this looks further and further back, and then halves the interval.
 */
export function lastDue(nextAfter: (moment: number) => number, nowMs: number): number {
  let backMs = FINEST_MS;
  while (nextAfter(nowMs - backMs) > nowMs) backMs *= 2;
  let before = nowMs - backMs;
  let after = nowMs;
  while (after - before > FINEST_MS) {
    const middle = Math.floor((before + after) / 2);
    if (nextAfter(middle) > nowMs) after = middle;
    else before = middle;
  }
  return nextAfter(before);
}
