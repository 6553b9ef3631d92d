import type { TransportCall } from '../../calls/operations.js';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import { wrongOption } from '../../engine/configuration-error.js';
import type { Boot, HostedMethod, Endpoint, EndpointReader } from '../../handlers/endpoint.js';
import type { IncomingRequest } from '../../keys/call.js';
import { contentOfArguments, contentOfJob, identityOf, isJob } from '../../keys/jobs.js';
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
/** The metadata that `@Process()` of `@nestjs/bull` leaves on a method that gets jobs. */
const BULL_PROCESS = 'bull:module_queue_process';
/** The metadata that `@OnEvent()` of `@nestjs/event-emitter` leaves on a method. */
const LISTENER = 'EVENT_LISTENER_METADATA';
/** The metadata that `@EventsHandler()` of `@nestjs/cqrs` leaves on a class whose `handle` gets events. */
const EVENTS_HANDLER = '__eventsHandler__';
/** The metadata that `@Saga()` of `@nestjs/cqrs` leaves on a class: the names of its sagas. */
const SAGAS = '__saga__';

/** Timers may fire this much early by the wall clock, because they use another clock. */
const MOST_EARLY_MS = 100;

/** Finds provider methods that other code, timers and queues call. */
export const methods: EndpointReader = {
  kind: 'method',
  word: 'method',
  hosts: 'providers',
  read: methodEndpoint,
};

function methodEndpoint(hosted: HostedMethod, boot: Boot): Endpoint {
  const { name, method } = hosted;
  checkSaga(hosted);
  return {
    kind: 'method',
    scopes: [name],
    schedule: scheduleOf(method, boot),
    isProcessor: isProcessor(hosted),
    listens: listens(hosted),
  };
}

/**
 * True for a method that a queue calls with its jobs.
 *
 * @throws {@link IdempotencyConfigurationError} for one that tells the queue by a callback what came
 *   of a job
 */
function isProcessor({ type, name, methodName, method }: HostedMethod): boolean {
  if (methodName === 'process' && Reflect.hasMetadata(PROCESSOR, type)) return true;
  if (!Reflect.hasMetadata(BULL_PROCESS, method)) return false;
  const parameters: unknown = Reflect.getMetadata(
    'design:paramtypes',
    type.prototype as object,
    methodName,
  );
  if (!Array.isArray(parameters) || parameters.length < 2) return true;
  throw wrongOption(
    '@Idempotent()',
    `${name}, a processor with a callback`,
    'processors that return a promise',
    'Remove the parameter `done`. Return the result, and throw what fails.',
  );
}

/** True for a method that gets events of this process. Nobody waits for its answer. */
function listens({ type, methodName, method }: HostedMethod): boolean {
  return (
    Reflect.hasMetadata(LISTENER, method) ||
    (methodName === 'handle' && Reflect.hasMetadata(EVENTS_HANDLER, type))
  );
}

/**
 * @throws {@link IdempotencyConfigurationError} for a saga: it is called once, when the application
 *   boots, and what it returns is no result but the commands of all later events
 */
function checkSaga({ type, name, methodName }: HostedMethod): void {
  const sagas: unknown = Reflect.getMetadata(SAGAS, type);
  if (!Array.isArray(sagas) || !sagas.includes(methodName)) return;
  throw wrongOption(
    '@Idempotent()',
    `${name}, a saga`,
    'methods that do the work of one call',
    'A saga is called once, for all events. Put the decorator on execute() of the command handlers that it sends commands to.',
  );
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

  readonly isOfJob: boolean;

  /** @param isProcessor true for a method that a queue calls */
  constructor(
    public scope: string,
    readonly args: readonly unknown[],
    private readonly isProcessor = false,
  ) {
    this.isOfJob = isProcessor || isJob(args[0]);
  }

  get content(): unknown {
    return this.isProcessor ? contentOfJob(this.args[0]) : contentOfArguments(this.args);
  }

  get job(): string | undefined {
    return identityOf(this.isProcessor ? this.args[0] : this.args.find(isJob));
  }
}
