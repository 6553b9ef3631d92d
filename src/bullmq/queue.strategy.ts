import { wrongOption } from '../engine/configuration-error.js';
import { parseDuration } from '../engine/duration.js';
import { type Job, isLastAttempt, keyOfJob } from '../keys/jobs.js';
import { recoveredReply } from '../operation/recovery.js';
import { timeOf } from '../operation/uuid-v7.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { IdempotentCall } from '../keys/call.js';
import { header, keySource, messageId } from '../keys/key-sources.js';
import { IdempotencyStrategy } from '../strategies/strategy-registry.js';
import type { QueueStrategyOptions } from '../options/strategy-options.js';
import type {
  IdempotencyStrategyContract,
  StrategyContext,
  StrategyPlan,
} from '../strategies/strategy.js';
import { Queues, scopeOfJobs } from './queues.js';

/** The name for `op.id()` that returns the id of the job. */
const JOB_ID = 'job';

/** The reply of a route, for API descriptions. */
const QUEUED = {
  status: 202,
  schema: {
    type: 'object',
    required: ['id', 'status'],
    properties: { id: { type: 'string' }, status: { type: 'string', enum: ['queued'] } },
  },
} as const;

/**
 * Does the work later. On a route, what the handler returns is put on a queue, once, and the client
 * is told where to ask for the result. On the processor of that queue, the job is processed once,
 * however often it is delivered.
 */
@IdempotencyStrategy('queue')
export class QueueStrategy implements IdempotencyStrategyContract {
  readonly options = ['queue', 'delay', 'location'] as const;

  constructor(private readonly queues: Queues) {}

  plan(context: StrategyContext): StrategyPlan {
    const { queue } = context.options as Partial<QueueStrategyOptions>;
    if (typeof queue !== 'string' || queue === '')
      throw wrongOption(
        'queue',
        queue,
        'the name of a queue',
        "Name it, such as queue: 'imports'.",
      );
    return context.kind === 'method'
      ? this.processing(queue, context)
      : this.enqueueing(queue, context);
  }

  private enqueueing(queue: string, { handler, kind, options }: StrategyContext): StrategyPlan {
    const { delay, location = besideRequest } = options as Partial<QueueStrategyOptions>;
    const delayMs = delay === undefined ? undefined : parseDuration('delay', delay, { zero: true });
    if (typeof location !== 'function')
      throw wrongOption(
        'location',
        location,
        'a function of the id',
        'Leave it out to use the default path.',
      );
    if (options.transaction)
      throw wrongOption('transaction', options.transaction, 'false with a queue', 'Leave it out.');
    if (options.onStoreFailure === 'proceed')
      throw wrongOption('onStoreFailure', 'proceed', "'reject' with a queue", 'Leave it out.');
    if (options.stream === 'through')
      throw wrongOption('stream', 'through', "'hold' with a queue", 'Leave it out.');
    if (options.required === false)
      throw wrongOption(
        'required',
        false,
        'true with a queue',
        'Set it to true, and have clients send keys.',
      );
    const name = handler.slice(handler.indexOf('.') + 1);
    return {
      key: options.key ?? (kind === 'rpc' ? messageId() : header()),
      comparesContent: true,
      keepsReply: true,
      transaction: 'never',
      check: () => void this.queues.get(queue),
      published: { headers: { Location: 'Where to ask for the result.' }, reply: QUEUED },
      begin: (call) => ({
        answer: async (data, operation) => {
          const jobId = await operation.id(JOB_ID);
          const timestamp = timeOf(jobId);
          // BullMQ counts a delay from the job's own time, which does not change when it is added again.
          const delay = delayMs && delayMs + Math.max(0, Date.now() - timestamp);
          // If there already is a job with this id, BullMQ leaves it as it is.
          await this.queues.ask(queue, (one) => one.add(name, data, { jobId, timestamp, delay }));
          return recoveredReply(
            { id: jobId, status: 'queued' },
            { status: QUEUED.status, headers: { Location: location(jobId, call) } },
          );
        },
      }),
    };
  }

  private processing(queue: string, { options }: StrategyContext): StrategyPlan {
    const { key, scope, delay, location } = options as IdempotentOptions & QueueStrategyOptions;
    for (const [option, given] of Object.entries({ key, scope, delay, location }))
      if (given !== undefined)
        throw wrongOption(option, given, 'nothing on a processor', 'Remove the option.');
    return {
      key: keySource('job id', (call) => keyOfJob(jobOf(call) ?? {})),
      scope: scopeOfJobs(queue),
      perPrincipal: false,
      comparesContent: true,
      keepsReply: true,
      // Until the last attempt, the queue delivers it again.
      begin: (call) => ({
        onError: (error) => (isLastAttempt(jobOf(call)!, error) ? 'store' : 'release'),
      }),
    };
  }
}

function jobOf({ args }: IdempotentCall): Job | undefined {
  return args?.[0] as Job | undefined;
}

function besideRequest(id: string, { request }: IdempotentCall): string {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  return `${pathname.replace(/\/$/, '')}/${id}`;
}
