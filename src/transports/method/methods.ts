import type { TransportCall } from '../../calls/operations.js';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { Boot, HostedMethod, Endpoint, EndpointReader } from '../../handlers/endpoint.js';
import type { IncomingRequest } from '../../keys/call.js';
import type { Schedule } from '../../keys/key-source.js';
import { nearestMultiple } from '../../keys/tick.js';
import { type CronDeclaration, CronJobs, lastDue } from './cron-jobs.js';

/**
 * The metadata that `@nestjs/schedule` leaves on a method: the kind of decorator, and its options.
 */
const SCHEDULER_TYPE = 'SCHEDULER_TYPE';
const CRON = 1;
const INTERVAL = 3;
const CRON_OPTIONS = 'SCHEDULE_CRON_OPTIONS';
const INTERVAL_OPTIONS = 'SCHEDULE_INTERVAL_OPTIONS';

/**
 * The metadata that `@Processor()` of `@nestjs/bullmq` leaves on a class whose `process` gets jobs.
 */
const PROCESSOR = 'bullmq:processor_metadata';

/** Timers may fire this much early by the wall clock, because they use another clock. */
const MOST_EARLY_MS = 100;

/** Finds provider methods that other code, timers and queues call. */
export const methods: EndpointReader = {
  kind: 'method',
  word: 'method',
  hosts: 'providers',
  read: methodEndpoint,
};

function methodEndpoint({ type, name, methodName, method }: HostedMethod, boot: Boot): Endpoint {
  const isProcessor = methodName === 'process' && Reflect.hasMetadata(PROCESSOR, type);
  return {
    kind: 'method',
    scopes: [name],
    schedule: scheduleOf(method, boot),
    content: isProcessor ? contentOfJob : undefined,
  };
}

/** A job is a new object for every delivery, but it is the same work. */
function contentOfJob([job]: readonly unknown[]): unknown {
  const { name, data } = (job ?? {}) as { readonly name?: unknown; readonly data?: unknown };
  return [name, data];
}

/** The timer of a method; `undefined` if there is none. */
function scheduleOf(method: object, boot: Boot): Schedule | undefined {
  const type: unknown = Reflect.getMetadata(SCHEDULER_TYPE, method);
  if (type === CRON) {
    const declared = Reflect.getMetadata(CRON_OPTIONS, method) as CronDeclaration;
    return { dueAt: (nowMs) => cronDueAt(declared, boot, nowMs) };
  }
  if (type === INTERVAL) {
    const { timeout } = Reflect.getMetadata(INTERVAL_OPTIONS, method) as { timeout?: number };
    return timeout !== undefined && timeout > 0
      ? { dueAt: (nowMs) => nearestMultiple(nowMs, timeout) }
      : {};
  }
  return type === undefined ? undefined : {};
}

function cronDueAt(declared: CronDeclaration, boot: Boot, nowMs: number): Awaitable<number> {
  const { cronTime } = declared;
  if (typeof cronTime !== 'string') return cronTime.valueOf();
  return chain(boot.get(CronJobs).nextOf(declared), (next) => lastDue(next, nowMs + MOST_EARLY_MS));
}

/** There is no request, so sources that read one find nothing. */
const NO_REQUEST: IncomingRequest = Object.freeze({ headers: Object.freeze({}) });

/** A call of a provider method, wherever it came from. */
export class MethodCall implements TransportCall {
  readonly type = 'method';
  readonly request = NO_REQUEST;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    readonly args: readonly unknown[],
    readonly content?: unknown,
  ) {}
}
