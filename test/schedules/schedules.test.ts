import { jest } from '@jest/globals';
import {
  applyDecorators,
  ConflictException,
  Injectable,
  Module,
  NotFoundException,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { CronTime } from 'cron';
import {
  IdempotencyException,
  IdempotencyModule,
  IdempotencyService,
  Idempotent,
  type IdempotentOptions,
  isIdempotencyConfigurationError,
  MemoryStore,
  tick,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { FaultInjectingStore, failBefore, Gate } from 'nestjs-idempotency/testing';

interface Job {
  run(...args: unknown[]): Promise<unknown>;
}

const HOURLY = Cron('0 * * * *', { timeZone: 'UTC' });
const once = (options?: Omit<IdempotentOptions, 'strategy'>) =>
  Idempotent({ key: tick(), ...options });

let nowMs: number;
const setNow = (moment: string): void => void (nowMs = Date.parse(moment));
const seconds = (count: number): void => void (nowMs += count * 1_000);

let runs: number;
let work: () => unknown;
const closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  setNow('2026-07-01T12:00:00.007Z');
  jest.spyOn(Date, 'now').mockImplementation(() => nowMs);
  runs = 0;
  work = () => undefined;
});

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  jest.restoreAllMocks();
});

/** @param decorators the lowest one first */
function jobWith(...decorators: MethodDecorator[]): Type<Job> {
  @Injectable()
  class CleanUp implements Job {
    constructor(private readonly idempotency: IdempotencyService) {}

    @applyDecorators(...decorators)
    async run(): Promise<unknown> {
      runs += 1;
      await work();
      return this.idempotency.current()?.key;
    }
  }
  return CleanUp;
}

async function instanceOf(
  job: Type<Job>,
  { store = new MemoryStore() as IdempotencyStore, isScheduling = true } = {},
): Promise<{ job: Job; registry: SchedulerRegistry }> {
  const scheduling = isScheduling ? [ScheduleModule.forRoot()] : [];
  @Module({ imports: [IdempotencyModule.forRoot({ store }), ...scheduling], providers: [job] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, {
    logger: false,
    abortOnError: false,
  });
  closing.push(() => app.close());
  const registry = isScheduling ? app.get(SchedulerRegistry) : (undefined as never);
  return { job: app.get<Job>(job), registry };
}

/** Instances of one application: each has timers of its own, and the same records. */
async function instancesOf(
  job: Type<Job>,
  store: IdempotencyStore = new MemoryStore(),
): Promise<[Job, Job]> {
  const [one, other] = [await instanceOf(job, { store }), await instanceOf(job, { store })];
  return [one.job, other.job];
}

describe('the tick of a cron job', () => {
  test.each([
    ['when it is called at once', '2026-07-01T01:00:00.007Z', '2026-07-01T01:00:00.000Z'],
    ['when it is called late', '2026-07-01T23:10:00.000Z', '2026-07-01T01:00:00.000Z'],
    [
      'when the clock was set back a little',
      '2026-07-02T00:59:59.940Z',
      '2026-07-02T01:00:00.000Z',
    ],
    ['until the next one', '2026-07-02T00:59:59.800Z', '2026-07-01T01:00:00.000Z'],
    ['in winter', '2026-01-15T02:00:00.100Z', '2026-01-15T02:00:00.000Z'],
  ])('is the moment at which it was due, %s', async (_when, now, due) => {
    setNow(now);
    const { job } = await instanceOf(
      jobWith(once(), Cron('0 3 * * *', { timeZone: 'Europe/Berlin' })),
    );
    expect(await job.run()).toBe(due);
  });

  test.each([
    [
      '15 */10 * * * *',
      { timeZone: 'UTC' },
      '2026-07-01T10:20:16.900Z',
      '2026-07-01T10:20:15.000Z',
    ],
    ['0 3 * * *', { utcOffset: 330 }, '2026-07-01T21:30:00.010Z', '2026-07-01T21:30:00.000Z'],
    ['0 3 * * *', { utcOffset: 0 }, '2026-07-02T02:00:00.010Z', '2026-07-01T03:00:00.000Z'],
    ['0 0 29 2 *', { timeZone: 'UTC' }, '2026-07-02T02:00:00.010Z', '2024-02-29T00:00:00.000Z'],
    // The hour that is left out, and the one that comes twice.
    [
      '30 2 * * *',
      { timeZone: 'Europe/Berlin' },
      '2026-03-29T01:00:00.020Z',
      '2026-03-29T01:00:00.000Z',
    ],
    [
      '*/20 * * * *',
      { timeZone: 'Europe/Berlin' },
      '2026-10-25T00:20:00.020Z',
      '2026-10-25T00:20:00.000Z',
    ],
    [
      '*/20 * * * *',
      { timeZone: 'Europe/Berlin' },
      '2026-10-25T01:20:00.020Z',
      '2026-10-25T01:20:00.000Z',
    ],
    ['* * * * *', {}, '2026-07-01T10:20:16.900Z', '2026-07-01T10:20:00.000Z'],
    [new Date('2026-07-01T10:20:00Z'), {}, '2026-07-01T10:19:00.000Z', '2026-07-01T10:20:00.000Z'],
  ] as const)('is found for %s with %j at %s', async (cronTime, options, now, due) => {
    setNow(now);
    const { job } = await instanceOf(jobWith(once(), Cron(cronTime as string, options)));
    expect(await job.run()).toBe(due);
  });

  test.each([4, 3])(
    'is in the zone of the process without another, with cron %d',
    async (version) => {
      const { job, registry } = await instanceOf(
        jobWith(once(), Cron('0 3 * * *', { name: 'clean-up' })),
      );
      const { cronTime } = registry.getCronJob('clean-up');
      if (version === 3) delete cronTime.timeZone;
      nowMs = new Date(2026, 6, 1, 4).getTime();
      expect(await job.run()).toBe(new Date(2026, 6, 1, 3).toISOString());
    },
  );

  test('is another one for a job of the same time in another zone', async () => {
    @Injectable()
    class Two {
      @once()
      @Cron('0 3 * * *', { timeZone: 'Europe/Berlin' })
      async first(): Promise<void> {}

      constructor(private readonly idempotency: IdempotencyService) {}

      @once()
      @Cron('0 3 * * *', { timeZone: 'UTC' })
      async run(): Promise<unknown> {
        return Promise.resolve(this.idempotency.current()?.key);
      }
    }
    const { job } = await instanceOf(Two);
    expect(await job.run()).toBe('2026-07-01T03:00:00.000Z');
  });

  test('follows a job that is given another time, by its name', async () => {
    const named = Cron('0 * * * *', { name: 'clean-up', timeZone: 'UTC' });
    const { job, registry } = await instanceOf(jobWith(once(), named));
    setNow('2026-07-01T12:47:00Z');
    expect(await job.run()).toBe('2026-07-01T12:00:00.000Z');
    registry.getCronJob('clean-up').setTime(new CronTime('*/15 * * * *', 'UTC'));
    expect(await job.run()).toBe('2026-07-01T12:45:00.000Z');
    registry.deleteCronJob('clean-up');
    await expect(job.run()).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_INVALID' });
  });

  test.each(['clean-up', undefined])(
    'is that of a job, named %s, which becomes due while it is being made',
    async (name) => {
      setNow('2026-07-01T12:59:59.990Z');
      const { sendAt } = CronTime.prototype;
      // The process stands still for a moment, after it has found out when the job is due.
      jest.spyOn(CronTime.prototype, 'sendAt').mockImplementationOnce(function (this: CronTime) {
        const due = sendAt.call(this, undefined as never);
        nowMs += 26;
        return due as never;
      });
      const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
      const { job } = await instanceOf(
        jobWith(once(), Cron('0 * * * *', { name, timeZone: 'UTC', threshold: 1_000 })),
      );
      expect(warn).toHaveBeenCalledWith(expect.stringContaining('Executing immediately'));
      expect(runs).toBe(1);
      expect(await job.run()).toBe('2026-07-01T13:00:00.000Z');
      expect(runs).toBe(1);
    },
  );

  test('is not known where nothing schedules', async () => {
    const { job } = await instanceOf(jobWith(once(), HOURLY), { isScheduling: false });
    await expect(job.run()).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_INVALID',
      response: { detail: expect.stringContaining('no job in the ScheduleModule') },
    });
    expect(runs).toBe(0);
  });
});

describe('the tick of a period', () => {
  test('is the nearest multiple of the interval', async () => {
    const { job } = await instanceOf(jobWith(once(), Interval(60_000)));
    setNow('2026-07-01T12:00:29.900Z');
    expect(await job.run()).toBe('2026-07-01T12:00:00.000Z');
    setNow('2026-07-01T12:00:30.100Z');
    expect(await job.run()).toBe('2026-07-01T12:01:00.000Z');
  });

  test.each(['2026-07-01T11:57:40Z', '2026-07-01T12:02:20Z'])(
    'is the nearest multiple of what is given, at %s',
    async (now) => {
      setNow(now);
      const { job } = await instanceOf(jobWith(Idempotent({ key: tick('5m') })));
      expect(await job.run()).toBe('2026-07-01T12:00:00.000Z');
    },
  );
});

describe('two instances with a scheduled method', () => {
  test.each([
    ['above', [once(), HOURLY]],
    ['below', [HOURLY, once()]],
  ])('run it once per tick, with @Cron() %s', async (_where, decorators) => {
    const [one, other] = await instancesOf(jobWith(...decorators));
    const first = await one.run();
    seconds(2);
    // The record knows what it gave, whatever timers pass to it.
    expect(await other.run(() => undefined)).toBe(first);
    expect(runs).toBe(1);
    seconds(3_600);
    expect(await other.run()).not.toBe(first);
    expect(await one.run()).toBeDefined();
    expect(runs).toBe(2);
  });

  test('leave it to the one that is at it', async () => {
    const [one, other] = await instancesOf(jobWith(once(), HOURLY));
    const gate = new Gate();
    work = () => gate.pass();
    const running = one.run();
    await gate.reached();
    expect(await other.run()).toBeUndefined();
    gate.open();
    expect(await running).toBeDefined();
    expect(runs).toBe(1);
  });

  test('have one that waits take over from one that fails', async () => {
    const [one, other] = await instancesOf(jobWith(once({ wait: '20s' }), HOURLY));
    const gate = new Gate();
    work = async () => {
      await gate.pass();
      if (runs === 1) throw new Error('failed');
    };
    const failing = one.run();
    await gate.reached();
    const waiting = other.run();
    gate.open();
    await expect(failing).rejects.toThrow('failed');
    expect(await waiting).toBeDefined();
    expect(runs).toBe(2);
  });

  test('run a tick that failed once more, if one comes later', async () => {
    const [one, other] = await instancesOf(jobWith(once(), HOURLY));
    work = () => {
      if (runs === 1) throw new ConflictException();
    };
    await expect(one.run()).rejects.toThrow(ConflictException);
    await other.run();
    await one.run();
    expect(runs).toBe(2);
  });

  test.each([
    ['which is its result', new NotFoundException(), {}],
    ['which is told to be', new Error('failed'), { onError: () => 'store' as const }],
  ])('hear of a failure once, %s', async (_which, failure, options) => {
    const [one, other] = await instancesOf(jobWith(once(options), HOURLY));
    work = () => {
      throw failure;
    };
    await expect(one.run()).rejects.toThrow(failure);
    expect(await other.run()).toBeUndefined();
    expect(runs).toBe(1);
  });

  test('skip a tick while the one before still runs, with a lock around it', async () => {
    const lock = Idempotent({ strategy: 'lock', key: () => 'clean-up' });
    const [one, other] = await instancesOf(jobWith(once(), lock, HOURLY));
    const gate = new Gate();
    work = () => gate.pass();
    const running = one.run();
    await gate.reached();
    seconds(3_600);
    expect(await other.run()).toBeUndefined();
    gate.open();
    await running;
    expect(runs).toBe(1);
    seconds(3_600);
    expect(await other.run()).toBeDefined();
  });

  test('are quiet where duplicates are rejected', async () => {
    const [one, other] = await instancesOf(jobWith(once({ onDuplicate: 'reject' }), HOURLY));
    await one.run();
    expect(await other.run()).toBeUndefined();
  });

  test('are not quiet about anything else', async () => {
    const store = new FaultInjectingStore(new MemoryStore());
    const [one] = await instancesOf(jobWith(once(), HOURLY), store);
    store.next('acquire', failBefore());
    await expect(one.run()).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' });
    // What the work itself was refused is its failure.
    work = () => {
      throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    };
    await expect(one.run()).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' });
  });

  test('are refused as ever where nothing schedules the method', async () => {
    const options = { key: tick('5m'), onDuplicate: 'reject' } as const;
    const [one, other] = await instancesOf(jobWith(Idempotent(options)));
    await one.run();
    await expect(other.run()).rejects.toMatchObject({ code: 'IDEMPOTENCY_DUPLICATE' });
  });
});

describe('stops the application', () => {
  async function problemOf(...decorators: MethodDecorator[]): Promise<object> {
    const error: unknown = await instanceOf(jobWith(...decorators)).catch(
      (thrown: unknown) => thrown,
    );
    if (!isIdempotencyConfigurationError(error)) throw error;
    return error.problem;
  }

  test.each([
    ['without a timer', 'tick() on a method that nothing schedules', []],
    ['with @Timeout()', 'that is due at other times in each process', [Timeout(3_600_000)]],
    ['with an interval of nothing', 'that is due at other times', [Interval(0)]],
  ])('tick() on a method %s', async (_case, given, timers) => {
    expect(await problemOf(...timers, once())).toEqual({
      option: 'key of CleanUp.run',
      given: expect.stringContaining(given),
      accepted: expect.stringContaining('@Cron()'),
      remedy: expect.stringContaining("tick('5m')"),
    });
  });

  test('a period that is none', () => {
    expect(() => tick('5 minutes' as never)).toThrow(/"key: tick\(\)" is "5 minutes"/);
  });
});
