import { BullModule, getQueueToken, InjectQueue, Processor, WorkerHost } from '@nestjs/bullmq';
import { type INestApplicationContext, Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  DelayedError,
  type Job,
  type Queue,
  UnrecoverableError,
  WaitingChildrenError,
  WaitingError,
  Worker,
} from 'bullmq';
import {
  arg,
  Idempotent,
  type IdempotentDeclaration,
  IdempotencyModule,
  IdempotencyService,
  MemoryStore,
} from 'nestjs-idempotency';
import { IdempotencyQueueModule, QueuedOperations } from 'nestjs-idempotency/bullmq';
import { Gate } from 'nestjs-idempotency/testing';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

let log: string[] = [];
let gate: Gate | undefined;

interface Step {
  readonly step?: number;
  readonly to?: string;
}

/** The patterns of BullMQ's documentation, as its users write them. */
function patterns(protect: (queue: string) => MethodDecorator): Type[] {
  @Processor('steps')
  class Steps extends WorkerHost {
    @protect('steps')
    async process(job: Job<Step>, token?: string): Promise<string> {
      const { step = 1 } = job.data;
      log.push(`step ${step}`);
      await job.updateData({ step: step + 1 });
      if (step === 3) return 'finished';
      if (step === 1) {
        await job.moveToDelayed(Date.now() + 20, token);
        throw new DelayedError('come again');
      }
      await job.moveToWait(token);
      throw new WaitingError();
    }
  }

  @Processor('rate')
  class Rate extends WorkerHost {
    @protect('rate')
    async process(job: Job<Step>): Promise<string> {
      log.push(`called ${job.name}`);
      if (log.length > 1) return 'finished';
      await this.worker.rateLimit(20);
      throw Worker.RateLimitError();
    }
  }

  @Processor('kids')
  class Kids extends WorkerHost {
    @protect('kids')
    async process(job: Job<{ n: number }>): Promise<number> {
      await gate?.pass();
      return job.data.n * 10;
    }
  }

  @Processor('parents')
  class Parents extends WorkerHost {
    constructor(@InjectQueue('kids') readonly kids: Queue) {
      super();
    }

    @protect('parents')
    async process(job: Job<Step>, token?: string): Promise<unknown[]> {
      const { step = 1 } = job.data;
      log.push(`parent ${step}`);
      if (step === 1) {
        const parent = { id: job.id!, queue: job.queueQualifiedName };
        for (const n of [1, 2]) await this.kids.add('kid', { n }, { parent });
        await job.updateData({ step: 2 });
        if (await job.moveToWaitingChildren(token!)) throw new WaitingChildrenError();
      }
      return Object.values<number>(await job.getChildrenValues()).sort((a, b) => a - b);
    }
  }

  @Processor('final')
  class Final extends WorkerHost {
    @protect('final')
    process(): Promise<never> {
      log.push('tried');
      return Promise.reject(new UnrecoverableError('the account is closed'));
    }
  }

  return [Steps, Rate, Kids, Parents, Final];
}

const PATTERN_QUEUES = ['steps', 'rate', 'kids', 'parents', 'final'];

let server: PrivateServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());
beforeEach(() => {
  log = [];
  gate = undefined;
});

let prefixes = 0;

async function start(queues: string[], providers: Type[]): Promise<INestApplicationContext> {
  const connection = { host: '127.0.0.1', port: server.port };
  prefixes += 1;
  @Module({
    imports: [
      IdempotencyModule.forRoot({ store: new MemoryStore() }),
      BullModule.forRoot({ connection, prefix: `app${prefixes}` }),
      ...queues.map((name) => BullModule.registerQueue({ name })),
      IdempotencyQueueModule,
    ],
    providers,
  })
  class JobsModule {}
  return NestFactory.createApplicationContext(JobsModule, { logger: false, abortOnError: false });
}

const queueOf = <T>(app: INestApplicationContext, name: string): Queue<T> =>
  app.get<Queue<T>>(getQueueToken(name));

/** The job once it has ended: its state, and what it returned or why it failed. */
async function ended(queue: Queue, id: string): Promise<[string, unknown]> {
  let state: string = 'unknown';
  await eventually(async () => /^(completed|failed)$/.test((state = await queue.getJobState(id))));
  const { returnvalue, failedReason } = (await queue.getJob(id))!;
  return [state, state === 'completed' ? returnvalue : failedReason];
}

const nothing: MethodDecorator = () => undefined;

describe.each<[string, (queue: string) => MethodDecorator]>([
  ['without the decorator', () => nothing],
  [
    'with its id as the key, and failures that are kept',
    () => Idempotent({ key: arg(0, 'id'), onError: 'store' }),
  ],
  ["with strategy 'queue'", (queue) => Idempotent({ strategy: 'queue', queue })],
])('a job %s, at its last attempt', (_, protect) => {
  let app: INestApplicationContext;
  beforeAll(async () => {
    app = await start(PATTERN_QUEUES, patterns(protect));
  });
  afterAll(() => app?.close());

  it('goes on where it was when it has been delayed, or put back', async () => {
    const queue = queueOf<Step>(app, 'steps');
    const { id } = await queue.add('job', {});
    expect(await ended(queue, id!)).toEqual(['completed', 'finished']);
    expect(log).toEqual(['step 1', 'step 2', 'step 3']);
  });

  it('comes again after its own rate limit', async () => {
    const queue = queueOf(app, 'rate');
    const { id } = await queue.add('job', {});
    expect(await ended(queue, id!)).toEqual(['completed', 'finished']);
    expect(log).toEqual(['called job', 'called job']);
  });

  it('waits for its children', async () => {
    gate = new Gate();
    const queue = queueOf(app, 'parents');
    const { id } = await queue.add('job', {});
    await eventually(async () => (await queue.getJobState(id!)) === 'waiting-children');
    gate.open();
    expect(await ended(queue, id!)).toEqual(['completed', [10, 20]]);
    expect(log).toEqual(['parent 1', 'parent 2']);
  });

  it('is not tried again when that is useless', async () => {
    const queue = queueOf(app, 'final');
    const { id } = await queue.add('job', {}, { attempts: 3 });
    expect(await ended(queue, id!)).toEqual(['failed', 'the account is closed']);
    expect(log).toEqual(['tried']);
  });
});

@Injectable()
class Mailer {
  @Idempotent({ key: arg(0, 'data', 'to') })
  async send(job: Job<Step>, _token: string, _signal?: AbortSignal): Promise<string> {
    log.push(`sent to ${job.data.to}`);
    return Promise.resolve(`by ${job.name}`);
  }
}

@Processor('mails', { concurrency: 2 })
class Mails extends WorkerHost {
  constructor(private readonly idempotency: IdempotencyService) {
    super();
  }

  @Idempotent({ strategy: 'queue', queue: 'mails' })
  async process(job: Job<Step>, token?: string): Promise<string> {
    const operation = this.idempotency.current()!;
    const { step = 1, to = '' } = job.data;
    await operation.step(`step ${step}`, () => void log.push(`${to} ${step}`));
    await job.updateData({ step: step + 1, to });
    if (step === 2 || to !== 'in two steps') return `sent to ${to}`;
    await job.moveToDelayed(Date.now() + 1, token);
    throw new DelayedError();
  }
}

@Processor('orders', { concurrency: 2 })
class Orders extends WorkerHost {
  constructor(private readonly mailer: Mailer) {
    super();
  }

  @Idempotent({ key: arg(0, 'id'), retryAfter: '20ms' })
  async process(job: Job<Step>, token?: string, signal?: AbortSignal): Promise<string> {
    log.push(`order ${job.data.to}`);
    await gate?.pass();
    const sent = await this.mailer.send(job, token!, signal);
    if (job.attemptsMade === 0 && job.name === 'fails') throw new Error('no paper');
    return sent;
  }
}

@Processor('business', { concurrency: 2 })
class Business extends WorkerHost {
  @Idempotent({ key: arg(0, 'data', 'to'), retryAfter: '20ms' })
  async process(job: Job<Step>): Promise<string> {
    log.push(job.data.to!);
    await gate?.pass();
    return `done by ${job.id}`;
  }
}

describe('a job that is delivered again', () => {
  let app: INestApplicationContext;
  let mails: Queue<Step>;
  let orders: Queue<Step>;
  beforeAll(async () => {
    app = await start(['mails', 'orders', 'business'], [Mails, Orders, Business, Mailer]);
    mails = queueOf(app, 'mails');
    orders = queueOf(app, 'orders');
  });
  afterAll(() => app?.close());

  it('is the same operation although its data has changed: with finished steps', async () => {
    const { id } = await mails.add('mail', { to: 'in two steps' });
    expect(await ended(mails, id!)).toEqual(['completed', 'sent to in two steps']);
    expect(log).toEqual(['in two steps 1', 'in two steps 2']);
  });

  it('is the same operation although its data has changed: after its end', async () => {
    const job = await mails.add('mail', { to: 'alice' }, { jobId: 'mail-alice' });
    expect(await ended(mails, 'mail-alice')).toEqual(['completed', 'sent to alice']);
    await job.retry('completed');
    expect(await ended(mails, 'mail-alice')).toEqual(['completed', 'sent to alice']);
    expect((await mails.getJob('mail-alice'))!.data).toEqual({ step: 2, to: 'alice' });
    expect(log).toEqual(['alice 1']);
  });

  it('is found by its id, also when the queue has counted it', async () => {
    const { id } = await mails.add('mail', { to: 'bob' });
    await ended(mails, id!);
    const operations = app.get(QueuedOperations);
    expect(await operations.find('mails', id!)).toEqual({
      id,
      status: 'done',
      result: 'sent to bob',
    });
  });

  it('fails for good with the error on record', async () => {
    const [Final] = patterns((queue) => Idempotent({ strategy: 'queue', queue })).slice(-1);
    const other = await start(['final'], [Final!]);
    try {
      const queue = queueOf(other, 'final');
      const job = await queue.add('job', {}, { attempts: 3 });
      await ended(queue, job.id!);
      await job.retry('failed', { resetAttemptsMade: true });
      expect(await ended(queue, job.id!)).toEqual(['failed', 'the account is closed']);
      expect((await queue.getJob(job.id!))!.attemptsMade).toBe(1);
      expect(log).toEqual(['tried']);
    } finally {
      await other.close();
    }
  });

  it('counts by its name and data where a method gets it as an argument', async () => {
    const { id } = await orders.add('fails', { to: 'carol' }, { attempts: 2 });
    expect(await ended(orders, id!)).toEqual(['completed', 'by fails']);
    expect(log).toEqual(['order carol', 'sent to carol', 'order carol']);
    const again = await orders.add('fails', { to: 'carol' }, { attempts: 2 });
    expect(await ended(orders, again.id!)).toEqual(['completed', 'by fails']);
    expect(log.filter((line) => line.startsWith('sent'))).toEqual(['sent to carol']);
  });

  it('waits for the one that has its key, which is no failed attempt', async () => {
    gate = new Gate();
    const business = queueOf<Step>(app, 'business');
    const first = await business.add('one', { to: 'dora' });
    await gate.reached(1);
    const second = await business.add('one', { to: 'dora' });
    await eventually(() => second.isDelayed());
    gate.open();
    const done = ['completed', `done by ${first.id}`];
    expect(await ended(business, first.id!)).toEqual(done);
    expect(await ended(business, second.id!)).toEqual(done);
    expect(log).toEqual(['dora']);
  });
});

describe('an id that begins again', () => {
  let app: INestApplicationContext;
  let mails: Queue<Step>;
  let orders: Queue<Step>;
  beforeAll(async () => {
    app = await start(['mails', 'orders'], [Mails, Orders, Mailer]);
    mails = queueOf(app, 'mails');
    orders = queueOf(app, 'orders');
  });
  afterAll(() => app?.close());

  /** Two jobs with one id, with the queue emptied in between; how the second one ended. */
  async function again(
    queue: Queue<Step>,
    first: string,
    second: string,
    jobId?: string,
  ): Promise<[string, unknown]> {
    await queue.obliterate({ force: true });
    const { id } = await queue.add('mail', { to: first }, { jobId });
    await ended(queue, id!);
    await queue.obliterate({ force: true });
    const { id: other } = await queue.add('mail', { to: second }, { jobId });
    expect(other).toBe(id);
    return ended(queue, other!);
  }

  it.each([
    ['with other content', 'bob'],
    ['with the same content', 'alice'],
  ])('is a new operation, %s, where the queue counts', async (_, to) => {
    expect(await again(mails, 'alice', to)).toEqual(['completed', `sent to ${to}`]);
    expect(log).toEqual(['alice 1', `${to} 1`]);
  });

  it('is the same operation where the application chose it, with the same content', async () => {
    expect(await again(mails, 'erin', 'erin', 'mail-erin')).toEqual(['completed', 'sent to erin']);
    expect(log).toEqual(['erin 1']);
  });

  it.each<[string, () => Queue<Step>, string | undefined]>([
    ['the application chose it', () => mails, 'mail-frank'],
    ['it is the key', () => orders, undefined],
  ])('is refused with other content where %s', async (_, queue, jobId) => {
    const [state, reason] = await again(queue(), 'frank', 'grace', jobId);
    expect([state, reason]).toEqual(['failed', expect.stringContaining('IDEMPOTENCY_KEY_REUSED')]);
    expect(log.filter((entry) => entry.includes('grace'))).toEqual([]);
  });
});

describe('code that a processor may call', () => {
  const options: IdempotentDeclaration = { key: arg(0), onError: 'hold' };

  it.each<[string, Error, string[]]>([
    ["not held after BullMQ's own errors", new DelayedError(), ['released']],
    ['held after an error that only has the name of one', new DelayedError('by rain'), ['held']],
  ])('is %s', async (_, error, expected) => {
    @Injectable()
    class Service {
      @Idempotent(options)
      work(_key: string): Promise<void> {
        return Promise.reject(error);
      }
    }
    const app = await start([], [Service]);
    try {
      const events: string[] = [];
      const idempotency = app.get(IdempotencyService);
      idempotency.events$.subscribe(({ type }) => void events.push(type));
      await expect(app.get(Service).work('a')).rejects.toBe(error);
      const run = idempotency.run({ scope: 'work', key: 'a', onError: 'hold' }, () => {
        throw error;
      });
      await expect(run).rejects.toBe(error);
      const ends = events.filter((type) => type === 'released' || type === 'held');
      expect(ends).toEqual([...expected, ...expected]);
    } finally {
      await app.close();
    }
  });
});
