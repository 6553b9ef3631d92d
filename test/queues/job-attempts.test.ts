import { BullModule, getQueueToken, Processor, WorkerHost } from '@nestjs/bullmq';
import { type INestApplicationContext, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DelayedError, type Job, type Queue } from 'bullmq';
import {
  arg,
  Idempotent,
  type IdempotentDeclaration,
  type IdempotentOptions,
  IdempotencyModule,
  IdempotencyService,
  MemoryStore,
} from 'nestjs-idempotency';
import { IdempotencyQueueModule } from 'nestjs-idempotency/bullmq';
import { keyOfJob } from '../../src/keys/jobs.js';
import { recordId } from '../../src/keys/record-id.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

interface Step {
  readonly step?: number;
}

type Limit = NonNullable<IdempotentOptions['maxAttempts']>;

let log: string[] = [];
let store: MemoryStore;

/** Processors with a limit each, by the names of their queues. */
function processors(protect: (queue: string, maxAttempts: Limit) => MethodDecorator): Type[] {
  class Poison extends WorkerHost {
    process(): Promise<never> {
      log.push('tried');
      return Promise.reject(new Error('always'));
    }
  }

  @Processor('held')
  class HeldJobs extends Poison {
    @protect('held', 2)
    override process(): Promise<never> {
      return super.process();
    }
  }

  @Processor('stored')
  class StoredJobs extends Poison {
    @protect('stored', { times: 2, afterwards: 'store' })
    override process(): Promise<never> {
      return super.process();
    }
  }

  @Processor('rejected')
  class RejectedJobs extends Poison {
    @protect('rejected', { times: 2, afterwards: 'reject' })
    override process(): Promise<never> {
      return super.process();
    }
  }

  @Processor('stepwise')
  class StepwiseJobs extends WorkerHost {
    constructor(private readonly idempotency: IdempotencyService) {
      super();
    }

    @protect('stepwise', 1)
    async process(job: Job<Step>, token?: string): Promise<string> {
      const { step = 1 } = job.data;
      log.push(`step ${step}, attempt ${this.idempotency.current()!.attempt}`);
      if (step === 3) return 'finished';
      await job.updateData({ step: step + 1 });
      await job.moveToDelayed(Date.now() + 1, token);
      throw new DelayedError();
    }
  }

  return [HeldJobs, StoredJobs, RejectedJobs, StepwiseJobs];
}

describe.each<[string, (queue: string, maxAttempts: Limit) => IdempotentDeclaration]>([
  ["strategy 'queue'", (queue, maxAttempts) => ({ strategy: 'queue', queue, maxAttempts })],
  ['its id as the key', (_, maxAttempts) => ({ key: arg(0, 'id'), maxAttempts })],
])('maxAttempts of a processor with %s', (_, declared) => {
  let server: PrivateServer;
  let app: INestApplicationContext;

  beforeAll(async () => {
    server = await startRedis();
    store = new MemoryStore();
    const names = ['held', 'stored', 'rejected', 'stepwise'];
    const protect = (queue: string, maxAttempts: Limit): MethodDecorator =>
      Idempotent(declared(queue, maxAttempts));
    @Module({
      imports: [
        IdempotencyModule.forRoot({ store }),
        BullModule.forRoot({ connection: { host: '127.0.0.1', port: server.port } }),
        ...names.map((name) => BullModule.registerQueue({ name })),
        IdempotencyQueueModule,
      ],
      providers: processors(protect),
    })
    class JobsModule {}
    app = await NestFactory.createApplicationContext(JobsModule, {
      logger: false,
      abortOnError: false,
    });
  });
  afterAll(async () => {
    await app?.close();
    await server?.stop();
  });
  beforeEach(() => {
    log = [];
  });

  const queueOf = (name: string): Queue<Step> => app.get<Queue<Step>>(getQueueToken(name));

  async function ended(queue: Queue, { id }: Job): Promise<[state: string, outcome: unknown]> {
    let state = 'unknown';
    await eventually(async () =>
      /^(completed|failed)$/.test((state = await queue.getJobState(id!))),
    );
    const { returnvalue, failedReason } = (await queue.getJob(id!))!;
    return [state, state === 'completed' ? returnvalue : failedReason];
  }

  it.each([
    ['held', /IDEMPOTENCY_OUTCOME_UNKNOWN|outcome/i],
    ['stored', /always/],
    ['rejected', /IDEMPOTENCY_ATTEMPTS_EXHAUSTED|attempt/i],
  ])('fails a job that always fails, although its queue would go on: %s', async (name, after) => {
    const queue = queueOf(name);
    const job = await queue.add('job', {}, { attempts: 10 });
    expect(await ended(queue, job)).toEqual(['failed', 'always']);
    expect(log).toEqual(['tried', 'tried']);
    const failed = (await queue.getJob(job.id!))!;
    expect(failed.attemptsMade).toBe(2);
    await failed.retry('failed');
    await eventually(async () => (await queue.getJob(job.id!))!.attemptsMade > 2);
    expect(await ended(queue, job)).toEqual(['failed', expect.stringMatching(after)]);
    expect(log).toEqual(['tried', 'tried']);
  });

  it('counts no delivery after which the job goes on later', async () => {
    const queue = queueOf('stepwise');
    const job = await queue.add('job', {});
    expect(await ended(queue, job)).toEqual(['completed', 'finished']);
    expect(log).toEqual([1, 2, 3].map((step) => `step ${step}, attempt 1`));
  });

  it('counts deliveries whose worker died, and fails the job without running it', async () => {
    const queue = queueOf('rejected');
    await queue.pause();
    const job = await queue.add('job', {}, { attempts: 10 });
    const hasStrategy = declared('rejected', 2).strategy === 'queue';
    const scope = hasStrategy ? 'queue rejected' : 'RejectedJobs.process';
    const key = hasStrategy ? keyOfJob(job)! : job.id!;
    const claim = {
      id: recordId(scope, undefined, key),
      fingerprint: '',
      leaseMs: 1,
      ttlMs: 60_000,
    };
    for (const owner of ['first', 'second']) {
      const claimed = store.acquire({ ...claim, owner });
      expect(claimed.outcome).toBe('acquired');
      await eventually(() => store.find(claim.id)!.leaseRemainingMs! <= 0);
    }
    await queue.resume();
    const [state] = await ended(queue, job);
    expect([state, log]).toEqual(['failed', []]);
    expect((await queue.getJob(job.id!))!.attemptsMade).toBe(1);
  });
});
