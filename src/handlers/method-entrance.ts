import { type Awaitable, chain } from '../engine/awaitable.js';
import type { Schedule } from '../keys/key-source.js';
import { nearestMultiple } from '../keys/tick.js';
import type { Entrance } from './entrance.js';
import type { ProviderMethod } from './provider-method.js';
import type { CronDeclaration, CronJobs } from './cron-jobs.js';
import { lastDue } from './last-due.js';

/** What `@nestjs/schedule` leaves on a method: which of its decorators is there, and its options. */
const SCHEDULER_TYPE = 'SCHEDULER_TYPE';
const CRON = 1;
const INTERVAL = 3;
const CRON_OPTIONS = 'SCHEDULE_CRON_OPTIONS';
const INTERVAL_OPTIONS = 'SCHEDULE_INTERVAL_OPTIONS';

/** What `@Processor()` of `@nestjs/bullmq` leaves on a class whose `process` gets jobs. */
const PROCESSOR = 'bullmq:processor_metadata';

/** Timers may fire that much early by the wall clock, which is not what they go by. */
const MOST_EARLY_MS = 100;

/** The way on which calls come to a method of a provider. */
export function methodEntrance(
  { type, name, methodName, method }: ProviderMethod,
  jobs: CronJobs,
): Entrance {
  const isProcessor = methodName === 'process' && Reflect.hasMetadata(PROCESSOR, type);
  return {
    kind: 'method',
    scopes: name,
    schedule: scheduleOf(method, jobs),
    content: isProcessor ? contentOfJob : undefined,
  };
}

/** A job is another object for every delivery, but stands for the same work. */
function contentOfJob([job]: readonly unknown[]): unknown {
  const { name, data } = (job ?? {}) as { readonly name?: unknown; readonly data?: unknown };
  return [name, data];
}

/** The timer of a method; `undefined` when there is none. */
function scheduleOf(method: object, jobs: CronJobs): Schedule | undefined {
  const type: unknown = Reflect.getMetadata(SCHEDULER_TYPE, method);
  if (type === CRON) {
    const declared = Reflect.getMetadata(CRON_OPTIONS, method) as CronDeclaration;
    return { dueAt: (nowMs) => cronDueAt(declared, jobs, nowMs) };
  }
  if (type === INTERVAL) {
    const { timeout } = Reflect.getMetadata(INTERVAL_OPTIONS, method) as { timeout?: number };
    return timeout !== undefined && timeout > 0
      ? { dueAt: (nowMs) => nearestMultiple(nowMs, timeout) }
      : {};
  }
  return type === undefined ? undefined : {};
}

function cronDueAt(declared: CronDeclaration, jobs: CronJobs, nowMs: number): Awaitable<number> {
  const { cronTime } = declared;
  if (typeof cronTime !== 'string') return cronTime.valueOf();
  return chain(jobs.nextOf(declared), (next) => lastDue(next, nowMs + MOST_EARLY_MS));
}
