import { getQueueToken, BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import {
  BadRequestException,
  Body,
  Controller,
  Get,
  Inject,
  NotFoundException,
  Param,
  Post,
  Scope,
} from '@nestjs/common';
import type { Job, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { arg, body, Idempotent, type IdempotentDeclaration } from 'nestjs-idempotency';
import { IdempotencyQueueModule, QueuedOperations } from 'nestjs-idempotency/bullmq';
import { RedisStore } from 'nestjs-idempotency/redis';
import { Gate } from 'nestjs-idempotency/testing';
import {
  boot,
  bootError,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

interface Import {
  readonly rows: number;
  readonly fails?: number;
}

let runs: string[];
let gate: Gate | undefined;

@Controller('imports')
class Imports {
  constructor(@Inject(QueuedOperations) private readonly operations: QueuedOperations) {}

  @Idempotent({ strategy: 'queue', queue: 'imports', wait: '5s' })
  @Post()
  import(@Body() { rows, fails }: Import): Import {
    if (rows === 0) throw new BadRequestException('nothing to import');
    return fails === undefined ? { rows } : { rows, fails };
  }

  @Idempotent({
    strategy: 'queue',
    queue: 'imports',
    key: body('name'),
    delay: '400ms',
    location: (id) => `https://shop.example/results/${id}`,
  })
  @Post('later')
  later(@Body() { rows }: Import): Import {
    return { rows };
  }

  @Get(':id')
  async find(@Param('id') id: string): Promise<object> {
    const operation = await this.operations.find('imports', id);
    if (operation === undefined) throw new NotFoundException();
    return operation;
  }
}

@Processor('imports', { concurrency: 4, maxStalledCount: 5 })
class ImportsProcessor extends WorkerHost {
  @Idempotent({ strategy: 'queue', queue: 'imports', lease: '1s', retryAfter: '100ms' })
  async process(job: Job<Import>): Promise<object> {
    runs.push(`${job.data.rows}`);
    await gate?.pass();
    const { fails = 0, rows } = job.data;
    if (runs.filter((run) => run === `${rows}`).length <= fails) throw new Error('no space left');
    return { imported: rows, at: new Date(0) };
  }
}

/** Another queue, whose processor is protected as any method is; a new instance for every job. */
@Processor({ name: 'mails', scope: Scope.REQUEST })
class MailsProcessor extends WorkerHost {
  @Idempotent({ key: arg(0, 'data', 'to') })
  async process(job: Job<{ to: string }>): Promise<string> {
    runs.push(job.data.to);
    await gate?.pass();
    return `sent ${job.data.to}`;
  }
}

interface Operation {
  readonly id: string;
  readonly status: string;
}

describe.each(PLATFORMS)('a queue behind %s', (platform) => {
  let server: PrivateServer;
  let client: Redis;
  let app: TestApp;
  let queue: Queue<Import>;

  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port);
    app = await boot(platform, {
      controllers: [Imports],
      providers: [ImportsProcessor, MailsProcessor],
      idempotency: { store: new RedisStore({ client }), storeTimeout: '1s' },
      imports: [
        BullModule.forRoot({ connection: { host: '127.0.0.1', port: server.port } }),
        BullModule.registerQueue({
          name: 'imports',
          defaultJobOptions: { attempts: 2, backoff: 50 },
        }),
        BullModule.registerQueue({ name: 'mails' }),
        IdempotencyQueueModule,
      ],
    });
    queue = app.app.get<Queue>(getQueueToken('imports'));
  });

  afterAll(async () => {
    await app?.close();
    client?.disconnect();
    await server?.stop();
  });

  beforeEach(() => {
    runs = [];
    gate = undefined;
  });

  let count = 0;
  const rowsOf = (): number => (count += 1);
  const send = (content: Import, key = `key-${content.rows}`): Promise<Reply> =>
    app.send('/imports', { key, body: content });
  const operation = (reply: Reply): Operation => reply.json() as Operation;
  const find = async (id: string): Promise<Reply> => app.send(`/imports/${id}`, { method: 'GET' });
  const ended = async (id: string, status: string): Promise<unknown> => {
    await eventually(async () => operation(await find(id)).status === status);
    return (await find(id)).json();
  };

  it('S15: answers 202 with the place of the result, and every retry the same', async () => {
    const rows = rowsOf();
    const first = await send({ rows });
    expect(first.status).toBe(202);
    const { id } = operation(first);
    expect(first.json()).toEqual({ id, status: 'queued' });
    expect(first.headers['location']).toBe(`/imports/${id}`);
    expectReplay(first, await send({ rows }));
    const done = { id, status: 'done', result: { imported: rows, at: new Date(0).toISOString() } };
    expect(await ended(id, 'done')).toEqual(done);
    expectReplay(first, await send({ rows }));
    expect(runs).toEqual([`${rows}`]);

    await (await queue.getJob(id))!.remove();
    expect((await find(id)).json()).toEqual(done);
  });

  it('S15: puts one job on the queue for 20 calls at once', async () => {
    const rows = rowsOf();
    const replies = await Promise.all(Array.from({ length: 20 }, () => send({ rows })));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    await ended(operation(replies[0]!).id, 'done');
    expect(runs).toEqual([`${rows}`]);
  });

  it('refuses other content, and keeps what the handler refuses off the queue', async () => {
    const rows = rowsOf();
    const { id } = operation(await send({ rows }));
    expectProblem(await send({ rows: rows + 500 }, `key-${rows}`), 422, 'IDEMPOTENCY_KEY_REUSED');
    const wrong = await send({ rows: 0 });
    expect(wrong.status).toBe(400);
    expect(wrong.headers).not.toHaveProperty('location');
    await ended(id, 'done');
    expect(runs).toEqual([`${rows}`]);
  });

  it('shows an operation that waits and one that runs', async () => {
    const rows = rowsOf();
    const reply = await app.send('/imports/later', { body: { name: `later ${rows}`, rows } });
    const { id } = operation(reply);
    expect(reply.headers['location']).toBe(`https://shop.example/results/${id}`);
    gate = new Gate();
    expect((await find(id)).json()).toEqual({ id, status: 'queued' });
    await gate.reached(1);
    expect((await find(id)).json()).toEqual({ id, status: 'running' });
    gate.open();
    await ended(id, 'done');
    expect((await find('nobody')).status).toBe(404);
  });

  it('tries again what has failed, and is done when it succeeds', async () => {
    const rows = rowsOf();
    const { id } = operation(await send({ rows, fails: 1 }));
    expect(await ended(id, 'done')).toMatchObject({ result: { imported: rows } });
    expect(runs).toEqual([`${rows}`, `${rows}`]);
  });

  it('keeps the failure of the last attempt', async () => {
    const rows = rowsOf();
    const { id } = operation(await send({ rows, fails: 2 }));
    const failed = { id, status: 'failed', error: 'no space left' };
    expect(await ended(id, 'failed')).toEqual(failed);
    await eventually(async () => (await queue.getJob(id))!.isFailed());
    await (await queue.getJob(id))!.remove();
    expect((await find(id)).json()).toEqual(failed);
    expect(runs).toEqual([`${rows}`, `${rows}`]);
  });

  it('S15: processes a job once that is delivered again', async () => {
    const rows = rowsOf();
    const { id } = operation(await send({ rows }));
    await ended(id, 'done');
    await eventually(async () => (await queue.getJob(id))!.isCompleted());
    await (await queue.getJob(id))!.remove();
    const again = await queue.add('import', { rows }, { jobId: id });
    await eventually(() => again.isCompleted());
    expect(runs).toEqual([`${rows}`]);
  });

  it('lets a job wait that another worker is at', async () => {
    const rows = rowsOf();
    gate = new Gate();
    const { id } = operation(await send({ rows }));
    await gate.reached(1);
    const processor = app.app.get(ImportsProcessor);
    // As a worker calls it, with a token.
    const process = processor.process as (job: object, token: string) => Promise<unknown>;
    const delayed: number[] = [];
    const moveToDelayed = (until: number): Promise<void> => {
      delayed.push(until - Date.now());
      return Promise.resolve();
    };
    const { name, timestamp } = (await queue.getJob(id))!;
    const delivered = { id, name, timestamp, data: { rows }, opts: {}, attemptsMade: 0 };
    const job = { ...delivered, moveToDelayed };
    await expect(process.call(processor, job, 'token')).rejects.toThrow(
      expect.objectContaining({ name: 'DelayedError' }) as Error,
    );
    expect(delayed).toEqual([expect.closeTo(100, -2)]);
    gate.open();
    await ended(id, 'done');
    expect(runs).toEqual([`${rows}`]);
  });

  it('protects processors without the strategy as well, also those that are made for each job', async () => {
    const mails = app.app.get<Queue>(getQueueToken('mails'));
    const to = `customer ${rowsOf()}`;
    const jobs = [await mails.add('mail', { to }), await mails.add('mail', { to })];
    for (const { id } of jobs)
      await eventually(async () => (await mails.getJob(id!))!.returnvalue === `sent ${to}`);
    expect(runs).toEqual([to]);
  });

  it('answers 503 in time while Redis is down, and enqueues once afterwards', async () => {
    const rows = rowsOf();
    server.pause();
    const startedAt = performance.now();
    const refused = await send({ rows });
    server.resume();
    expect(refused.status).toBe(503);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    let reply: Reply | undefined;
    await eventually(async () => (reply = await send({ rows })).status === 202);
    await ended(operation(reply!).id, 'done');
    expect(runs).toEqual([`${rows}`]);
  });
});

describe('an application with a queue that is not right', () => {
  const errorOf = async (options: IdempotentDeclaration): Promise<string> => {
    @Controller()
    class Wrong {
      @Idempotent(options)
      @Post('wrong')
      wrong(): object {
        return {};
      }
    }
    const error = await bootError('express', {
      controllers: [Wrong],
      imports: [IdempotencyQueueModule],
    });
    return error.message;
  };

  it.each<[string, IdempotentDeclaration, RegExp]>([
    ['no such queue', { strategy: 'queue', queue: 'nowhere' }, /registerQueue\(\{ name: 'nowhere'/],
    ['no name', { strategy: 'queue', queue: '' }, /queue of Wrong\.wrong/],
    ['keys that may be missing', { strategy: 'queue', queue: 'a', required: false }, /required of/],
    ['a wrong delay', { strategy: 'queue', queue: 'a', delay: 'soon' as never }, /delay of/],
    [
      'calls that go on without the store',
      { strategy: 'queue', queue: 'a', onStoreFailure: 'proceed' },
      /onStoreFailure of/,
    ],
    ['a transaction', { strategy: 'queue', queue: 'a', transaction: true }, /transaction of/],
  ])('does not start: %s', async (_, options, message) => {
    expect(await errorOf(options)).toMatch(message);
  });

  it.each<[option: string, given: object]>([
    ['scope', { scope: 'mine' }],
    ['key', { key: arg(0, 'id') }],
    ['delay', { delay: '5s' }],
    ['location', { location: (id: string) => `/imports/${id}` }],
  ])('does not start: %s on a processor', async (option, given) => {
    class Jobs {
      @Idempotent({ strategy: 'queue', queue: 'imports', ...given })
      process(): void {}
    }
    const error = await bootError('express', {
      controllers: [],
      providers: [Jobs],
      imports: [IdempotencyQueueModule],
    });
    expect(error.message).toContain(`${option} of Jobs.process`);
  });
});
