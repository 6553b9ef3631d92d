import { BullModule, getQueueToken, Process, Processor } from '@nestjs/bull';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { DoneCallback, Job, Queue } from 'bull';
import { arg, Idempotent, IdempotencyModule } from 'nestjs-idempotency';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

interface Mail {
  readonly to: string;
}

let log: string[];

@Processor('mails')
class Mails {
  @Idempotent({ key: arg(0, 'id') })
  @Process('letter')
  async letter(job: Job<Mail>): Promise<string> {
    log.push(`letter to ${job.data.to}`);
    await job.progress(50);
    if (job.attemptsMade === 0 && job.data.to === 'bob') throw new Error('no paper');
    return `sent to ${job.data.to}`;
  }

  @Process('poison')
  @Idempotent({ key: arg(0, 'id'), maxAttempts: 2 })
  poison(job: Job<Mail>): Promise<never> {
    log.push(`poison for ${job.data.to}`);
    return Promise.reject(new Error('always'));
  }

  @Process('parcel')
  @Idempotent({ key: arg(0, 'data', 'to') })
  async parcel(job: Job<Mail>): Promise<string> {
    log.push(`parcel to ${job.data.to}`);
    return Promise.resolve(`by ${job.name}`);
  }
}

describe('a processor of @nestjs/bull', () => {
  let server: PrivateServer;
  let app: INestApplicationContext;
  let queue: Queue<Mail>;

  const start = (): Promise<INestApplicationContext> => {
    @Module({
      imports: [
        IdempotencyModule.forRoot(),
        BullModule.forRoot({ redis: { host: '127.0.0.1', port: server.port } }),
        BullModule.registerQueue({ name: 'mails' }),
      ],
      providers: [Mails],
    })
    class MailsModule {}
    return NestFactory.createApplicationContext(MailsModule, {
      logger: false,
      abortOnError: false,
    });
  };

  beforeAll(async () => {
    server = await startRedis();
    app = await start();
    queue = app.get<Queue<Mail>>(getQueueToken('mails'));
  });
  afterAll(async () => {
    await app?.close();
    await server?.stop();
  });
  beforeEach(() => {
    log = [];
  });

  const ended = async (job: Job<Mail>): Promise<[string, unknown]> => {
    await eventually(async () => (await job.isCompleted()) || (await job.isFailed()));
    const { returnvalue, failedReason } = (await queue.getJob(job.id))!;
    return (await job.isCompleted()) ? ['completed', returnvalue] : ['failed', failedReason];
  };

  it('tries a job again that has failed, and knows it by its name and data', async () => {
    const job = await queue.add('letter', { to: 'bob' }, { attempts: 2 });
    expect(await ended(job)).toEqual(['completed', 'sent to bob']);
    expect(log).toEqual(['letter to bob', 'letter to bob']);
  });

  it('fails a job for good after its last attempt, whatever the queue still allows', async () => {
    const job = await queue.add('poison', { to: 'eve' }, { attempts: 5 });
    expect(await ended(job)).toEqual(['failed', 'always']);
    expect(log).toEqual(['poison for eve', 'poison for eve']);
  });

  it('does work once for two jobs with one key', async () => {
    for (let time = 0; time < 2; time += 1)
      expect(await ended(await queue.add('parcel', { to: 'bob' }))).toEqual([
        'completed',
        'by parcel',
      ]);
    expect(log).toEqual(['parcel to bob']);
  });

  it('refuses other content for an id that begins again', async () => {
    const first = await queue.add('letter', { to: 'carol' }, { jobId: 'letter-1' });
    await ended(first);
    await first.remove();
    const second = await queue.add('letter', { to: 'dora' }, { jobId: 'letter-1' });
    expect(await ended(second)).toEqual([
      'failed',
      expect.stringContaining('IDEMPOTENCY_KEY_REUSED'),
    ]);
    expect(log).toEqual(['letter to carol']);
  });

  it('is refused at boot if it tells the queue by a callback', async () => {
    @Processor('mails')
    class Callbacks {
      @Idempotent({ key: arg(0, 'id') })
      @Process('old')
      old(_job: Job<Mail>, done: DoneCallback): void {
        done();
      }
    }
    // Without a queue, whose connection would stay open.
    @Module({ imports: [IdempotencyModule.forRoot()], providers: [Callbacks] })
    class CallbacksModule {}
    const boot = NestFactory.createApplicationContext(CallbacksModule, {
      logger: false,
      abortOnError: false,
    });
    await expect(boot).rejects.toThrow(/Callbacks\.old, a processor with a callback/);
  });
});
