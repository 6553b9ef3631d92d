import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';

/** What `@Cron()` leaves on a method. */
export interface CronDeclaration {
  readonly name?: string;
  /** An expression, or the only moment at which it is due. */
  readonly cronTime: string | { valueOf(): number };
  readonly timeZone?: string;
  /** In minutes. */
  readonly utcOffset?: number;
}

/** As the package `cron` has it. */
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

/** The cron jobs of the application, which know when they are due, in any time zone. */
@Injectable()
export class CronJobs {
  private registry: SchedulerRegistry | undefined;

  constructor(private readonly discovery: DiscoveryService) {}

  /** When the job of a method is due next after a moment; `undefined` when there is no such job. */
  nextOf(declared: CronDeclaration): ((moment: number) => number) | undefined {
    const time = this.timeOf(declared);
    if (time === undefined) return undefined;
    const zone = zoneOf(time);
    return (moment) => time.getNextDateFrom(new Date(moment), zone).toMillis();
  }

  /** The job by its name, which may have got other times since; else any that is due when it is. */
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

/** `cron` before version 4 leaves the zone of the process out. */
function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function zoneOf({ timeZone, utcOffset }: CronTime): string | number {
  if (utcOffset === undefined) return timeZone ?? ownZone();
  // 0 would count as none.
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
