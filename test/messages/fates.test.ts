import { jest } from '@jest/globals';
import { Controller, Injectable, Logger, type Type } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RmqContext } from '@nestjs/microservices';
import type { Channel, Message } from 'amqplib';
import { arg, Idempotent, type IdempotencyEvent, MemoryStore, payload } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import {
  delayUntil,
  failAfter,
  failBefore,
  FaultInjectingStore,
  Gate,
} from 'nestjs-idempotency/testing';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { concat, of, throwError } from 'rxjs';
import { eventually } from '../support/http.js';
import { SQLITE } from '../support/sql-databases.js';
import { type Consumer, startConsumer } from './support/consumer.js';
import { type Queue, Rabbit } from './support/rabbitmq.js';

interface Order {
  readonly id?: string;
  readonly amount?: number;
  readonly does?: 'fail' | 'fail once' | 'nack once' | 'reject once' | 'emit, then fail once';
}

let runs: string[];
let gate: Gate | undefined;
let held: [Channel, Message][];

const channelOf = (context: RmqContext): Channel => context.getChannelRef() as Channel;
const messageOf = (context: RmqContext): Message => context.getMessage() as Message;

function ran(name: string): boolean {
  runs.push(name);
  return runs.filter((run) => run === name).length === 1;
}

const KEY = { key: payload('id'), retryAfter: 20 } as const;

@Controller()
class ByHand {
  @Idempotent(KEY)
  @EventPattern<string>('order')
  async order(@Payload() { id, does }: Order, @Ctx() context: RmqContext): Promise<void> {
    const isFirst = ran(`order ${id!}`);
    const [channel, message] = [channelOf(context), messageOf(context)];
    await gate?.pass();
    if (isFirst && does === 'nack once') channel.nack(message);
    else if (isFirst && does === 'reject once') channel.reject(message, true);
    else channel.ack(message);
  }

  /** Settles later, several at a time. */
  @Idempotent(KEY)
  @EventPattern<string>('batch')
  batch(@Payload() { id }: Order, @Ctx() context: RmqContext): void {
    ran(`batch ${id!}`);
    held.push([channelOf(context), messageOf(context)]);
  }

  @Idempotent(KEY)
  @MessagePattern('ask')
  ask(@Payload() { id }: Order, @Ctx() context: RmqContext): string {
    ran(`ask ${id!}`);
    channelOf(context).ack(messageOf(context));
    return 'asked';
  }

  @EventPattern('probe')
  probe(@Ctx() context: RmqContext): void {
    channelOf(context).ack(messageOf(context));
    runs.push('probe');
  }
}

@Controller()
class Acknowledged {
  @Idempotent({ ...KEY, acknowledge: true })
  @EventPattern<string>('order')
  order(@Payload() { id, does }: Order, @Ctx() context: RmqContext) {
    const isFirst = ran(`order ${id!}`);
    if (does === 'fail' || (isFirst && does === 'fail once')) throw new Error('secret');
    if (isFirst && does === 'nack once') channelOf(context).nack(messageOf(context));
    const isLate = isFirst && does === 'emit, then fail once';
    return isLate
      ? concat(
          of(1, 2),
          throwError(() => new Error('later')),
        )
      : undefined;
  }

  @EventPattern('probe')
  probe(@Ctx() context: RmqContext): void {
    channelOf(context).ack(messageOf(context));
    runs.push('probe');
  }
}

/** Somebody else settles its messages, also while it still runs. */
@Controller()
class Later {
  @Idempotent(KEY)
  @EventPattern<string>('order')
  async order(@Payload() { id }: Order, @Ctx() context: RmqContext): Promise<void> {
    ran(`order ${id!}`);
    held.push([channelOf(context), messageOf(context)]);
    await gate?.pass();
  }
}

let rabbit: Rabbit;
let queue: Queue;
let store: FaultInjectingStore;
let consumers: Consumer[];
let lines: string[];
let events: IdempotencyEvent[];

beforeAll(async () => {
  rabbit = await Rabbit.start();
}, 180_000);
afterAll(() => rabbit?.stop());

beforeEach(async () => {
  [runs, held, lines, events, consumers] = [[], [], [], [], []];
  gate = undefined;
  store = new FaultInjectingStore(new MemoryStore());
  queue = await rabbit.queue();
  for (const level of ['log', 'warn', 'error'] as const)
    jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
      lines.push(`${level}: ${String(message)}`);
    });
});
async function expectNothingLeft(): Promise<void> {
  jest.restoreAllMocks();
  for (const consumer of consumers) await consumer.close();
  expect(await queue.left()).toBe(0);
}
afterEach(expectNothingLeft);

interface Settings {
  readonly prefetchCount?: number;
  readonly noAck?: boolean;
  readonly records?: IdempotencyStore;
  readonly providers?: Type[];
}

async function start(
  controller: Type,
  { prefetchCount = 1, noAck = false, records = store, providers = [] }: Settings = {},
): Promise<void> {
  const consumer = await startConsumer(queue.transport({ prefetchCount, noAck }), {
    controllers: [controller],
    providers,
    idempotency: { store: records },
  });
  consumer.idempotency.events$.subscribe((event) => events.push(event));
  consumers.push(consumer);
}

/** A consumer takes one message at a time: one that takes another has settled those before. */
async function allIsSettled(): Promise<void> {
  await queue.publish('probe', null);
  await eventually(() => runs.includes('probe'));
  runs = runs.filter((run) => run !== 'probe');
}

/** The lines about messages, with the code and the scope. */
const told = (): string[] =>
  lines
    .filter((line) => /(IDEMPOTENCY|HANDLER)_\w+ on/.test(line))
    .map((line) => line.split('.').slice(0, 2).join('.').replace(/\.$/, ''));
const fates = (): string[] =>
  events.flatMap((event) =>
    event.type === 'dropped' || event.type === 'returned' ? `${event.type} ${event.code}` : [],
  );
const ORDER_BY_HAND = 'order ByHand.order';
const ORDER = 'order Acknowledged.order';

describe('a handler that settles its messages itself', () => {
  it('is warned of when the application starts, and not if it says so', async () => {
    await start(ByHand);
    const warnings = lines.filter((line) => line.includes('noAck: false'));
    expect(warnings).toEqual([
      expect.stringMatching(
        /warn: .*ByHand\.order, ByHand\.batch, ByHand\.ask have no `acknowledge: true`.*Set `acknowledge: true`/,
      ),
    ]);
    lines = [];
    await start(Acknowledged);
    expect(lines.filter((line) => line.includes('noAck: false'))).toEqual([]);
  });

  it('goes on after a duplicate, which is acknowledged for it', async () => {
    await start(ByHand);
    for (const id of ['1', '1', '2']) await queue.publish('order', { id });
    await allIsSettled();
    expect(runs).toEqual(['order 1', 'order 2']);
    expect(told()).toEqual([]);
  });

  it('goes on after a message that is refused, which is rejected for it', async () => {
    await start(ByHand);
    await queue.publish('order', { id: '1' });
    await queue.publish('order', { id: '1', amount: 2 });
    await queue.publish('order', {});
    await allIsSettled();
    expect(await queue.rejected()).toEqual([{ id: '1', amount: 2 }, {}]);
    expect(told()).toEqual([
      `error: IDEMPOTENCY_KEY_REUSED on ${ORDER_BY_HAND}: a message was rejected`,
      `error: IDEMPOTENCY_KEY_REQUIRED on ${ORDER_BY_HAND}: a message was rejected`,
    ]);
    expect(fates()).toEqual(['dropped IDEMPOTENCY_KEY_REUSED', 'dropped IDEMPOTENCY_KEY_REQUIRED']);
  });

  it('goes on after a duplicate of a request', async () => {
    await start(ByHand);
    const request = { replyTo: `${queue.name}.replies` };
    for (let time = 0; time < 2; time++) await queue.publish('ask', { id: '1' }, request);
    await allIsSettled();
    expect(runs).toEqual(['ask 1']);
  });

  it('gets a message again while its first delivery runs elsewhere', async () => {
    await start(ByHand);
    await start(ByHand);
    gate = new Gate();
    for (let time = 0; time < 2; time++) await queue.publish('order', { id: '1' });
    await gate.reached(1);
    await eventually(() => told().length > 0);
    expect(told()[0]).toBe(
      `warn: IDEMPOTENCY_KEY_IN_USE on ${ORDER_BY_HAND}: a message was given back and will be delivered again`,
    );
    expect(fates()[0]).toBe('returned IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await allIsSettled();
    expect(runs).toEqual(['order 1']);
    expect(told().length).toBe(fates().length);
  });

  it.each(['nack once', 'reject once'] as const)(
    'and gives a message back (%s) is called again',
    async (does) => {
      await start(ByHand);
      await queue.publish('order', { id: '1', does });
      await eventually(() => runs.length === 2);
      await allIsSettled();
      expect(runs).toEqual(['order 1', 'order 1']);
      expect(told()).toEqual([
        `warn: HANDLER_GAVE_BACK on ${ORDER_BY_HAND}: a message was given back and will be delivered again`,
      ]);
    },
  );

  it('and gives its message back in a protected method is called again, and so is the method', async () => {
    @Injectable()
    class Shipping {
      @Idempotent({ key: arg(0, 'id'), fingerprint: false })
      async ship({ id }: Order, context: RmqContext): Promise<void> {
        const isFirst = ran(`ship ${id!}`);
        await Promise.resolve();
        channelOf(context)[isFirst ? 'nack' : 'ack'](messageOf(context));
      }
    }
    @Controller()
    class Calling {
      constructor(private readonly shipping: Shipping) {}

      @Idempotent(KEY)
      @EventPattern<string>('order')
      order(@Payload() order: Order, @Ctx() context: RmqContext): Promise<void> {
        ran(`order ${order.id!}`);
        return this.shipping.ship(order, context);
      }
    }
    await start(Calling, { providers: [Shipping] });
    await queue.publish('order', { id: '1' });
    await eventually(() => runs.length >= 4);
    expect(runs).toEqual(['order 1', 'ship 1', 'order 1', 'ship 1']);
  });

  it('and gives back the message of another run has done its own work', async () => {
    @Controller()
    class Pairs {
      /** The second one gives the first one back. */
      @Idempotent(KEY)
      @EventPattern<string>('order')
      order(@Payload() { id }: Order, @Ctx() context: RmqContext): void {
        ran(`order ${id!}`);
        const [before] = held.splice(0);
        if (before !== undefined) before[0].nack(before[1]);
        held.push([channelOf(context), messageOf(context)]);
        if (id === '2') channelOf(context).ack(messageOf(context));
      }
    }
    await start(Pairs, { prefetchCount: 2 });
    await queue.publish('order', { id: '1' });
    await eventually(() => events.some(({ type }) => type === 'stored'));
    await queue.publish('order', { id: '2' });
    await eventually(() => runs.length === 3);
    await queue.publish('order', { id: '2' });
    await eventually(() => events.some(({ type }) => type === 'replayed'));
    expect(runs).toEqual(['order 1', 'order 2', 'order 1']);
    held[0]![0].ack(held[0]![1]);
  });

  it.each([
    ['while it runs', 'acquire'],
    ['while its reply is being recorded', 'complete'],
  ] as const)(
    'whose message is given back %s, by somebody else, is called again',
    async (_when, verb) => {
      const recording = new Gate();
      gate = verb === 'acquire' ? new Gate() : undefined;
      store.next('complete', delayUntil(recording));
      await start(Later);
      await queue.publish('order', { id: '1' });
      await eventually(() => held.length === 1 && store.count(verb) === 1);
      const [channel, message] = held.splice(0)[0]!;
      channel.nack(message);
      gate?.open();
      recording.open();
      await eventually(() => held.length === 1);
      expect(runs).toEqual(['order 1', 'order 1']);
      channel.ack(held[0]![1]);
      await eventually(() => events.filter(({ type }) => type === 'stored').length >= 1);
    },
  );

  it('and gives messages back after it has returned is called again for each', async () => {
    await start(ByHand, { prefetchCount: 2 });
    for (const id of ['1', '2']) await queue.publish('batch', { id });
    await eventually(() => held.length === 2 && store.count('complete') === 2);
    const [channel, last] = held.splice(0)[1]!;
    channel.nack(last, true);
    await eventually(() => held.length === 2);
    expect(runs).toEqual(['batch 1', 'batch 2', 'batch 1', 'batch 2']);
    channel.ack(held[1]![1], true);
  });

  describe('after it has returned, gives a message back and is called again', () => {
    /** Gives the first delivery back, and expects a second. */
    async function expectAnother(before: () => unknown = () => undefined): Promise<void> {
      await queue.publish('batch', { id: '1' });
      await eventually(() => held.length === 1);
      await before();
      const [channel, message] = held.splice(0)[0]!;
      channel.nack(message);
      await eventually(() => held.length === 1);
      expect(runs).toEqual(['batch 1', 'batch 1']);
      channel.ack(held[0]![1]);
    }
    const completed = (): Promise<void> => eventually(() => store.count('complete') > 0);

    it('with the records of a tenant', async () => {
      const tenant = new FaultInjectingStore(new MemoryStore());
      Object.assign(store, { ofCall: () => tenant });
      await start(ByHand);
      await expectAnother(() => eventually(() => tenant.count('complete') === 1));
    });

    it('with two records, one within the other', async () => {
      @Controller()
      class Stacked {
        @Idempotent({ ...KEY, scope: 'outer' })
        @Idempotent({ ...KEY, scope: 'inner' })
        @EventPattern<string>('batch')
        batch(@Payload() { id }: Order, @Ctx() context: RmqContext): void {
          ran(`batch ${id!}`);
          held.push([channelOf(context), messageOf(context)]);
        }
      }
      await start(Stacked);
      await expectAnother(() => eventually(() => store.count('complete') === 2));
    });

    it.each(['its own', 'named'])(
      'with records in a transaction of a data source: %s',
      async (which) => {
        const database = await SQLITE.start();
        try {
          const migrations = [CreateIdempotencyRecords1763700000000];
          const [dataSource, named] = await Promise.all(
            [1, 2].map(() => database.connect({ migrations, migrationsRun: true })),
          );
          const records = new TypeOrmStore({ dataSource: dataSource!, sources: { named: named! } });
          const transaction = which === 'named' ? 'named' : true;
          @Controller()
          class InTransaction {
            @Idempotent({ ...KEY, transaction })
            @EventPattern<string>('batch')
            batch(@Payload() { id }: Order, @Ctx() context: RmqContext): void {
              ran(`batch ${id!}`);
              held.push([channelOf(context), messageOf(context)]);
            }
          }
          await start(InTransaction, { records });
          await expectAnother(() => eventually(() => events.some(({ type }) => type === 'stored')));
          await eventually(() => events.filter(({ type }) => type === 'stored').length === 2);
        } finally {
          await database.stop();
        }
      },
    );

    it.each([
      ['was never reached', failBefore],
      ['has recorded it although its answer was lost', failAfter],
    ])('while its reply waits for a store that %s', async (_name, fault) => {
      store.always('complete', fault());
      await start(ByHand);
      await expectAnother(async () => {
        await completed();
        store.heal();
      });
    });

    it('once a store that is down answers again', async () => {
      await start(ByHand);
      await expectAnother(async () => {
        await completed();
        store.next('forget', failBefore());
      });
      expect(events).toContainEqual(
        expect.objectContaining({ type: 'completion-failed', verb: 'release' }),
      );
    });
  });
});

describe('a message that is acknowledged for its handler', () => {
  it.each(['fail once', 'emit, then fail once'] as const)(
    'and fails (%s) is given back with one line and one event',
    async (does) => {
      await start(Acknowledged);
      await queue.publish('order', { id: '1', does });
      await eventually(() => runs.length === 2);
      await allIsSettled();
      expect(told()).toEqual([
        `warn: HANDLER_FAILED on ${ORDER}: a message was given back and will be delivered again`,
      ]);
      expect(fates()).toEqual(['returned HANDLER_FAILED']);
      expect(lines.filter((line) => line.includes('secret') && line.includes('order'))).toEqual([]);
    },
  );

  it('runs again if its handler has given it back and returned', async () => {
    await start(Acknowledged);
    await queue.publish('order', { id: '1', does: 'nack once' });
    await eventually(() => runs.length === 2);
    await allIsSettled();
    expect(fates()).toEqual(['returned HANDLER_GAVE_BACK']);
  });

  it('is given back while the store is down, with one line each time', async () => {
    await start(Acknowledged);
    store.always('acquire', failBefore());
    await queue.publish('order', { id: '1' });
    await eventually(() => fates().length >= 2);
    store.heal();
    await allIsSettled();
    expect(new Set(told())).toEqual(
      new Set([
        `warn: IDEMPOTENCY_STORE_UNAVAILABLE on ${ORDER}: a message was given back and will be delivered again`,
      ]),
    );
    expect(told().length).toBe(fates().length);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });
});

describe('a poison message', () => {
  const POISON = { id: '1', does: 'fail' } as const;

  @Controller()
  class Limited {
    @Idempotent({ ...KEY, acknowledge: true, maxAttempts: 3 })
    @EventPattern<string>('hold')
    hold(@Payload() order: Order): void {
      this.run('hold', order);
    }

    @Idempotent({ ...KEY, acknowledge: true, maxAttempts: { times: 2, afterwards: 'reject' } })
    @EventPattern<string>('reject')
    reject(@Payload() order: Order): void {
      this.run('reject', order);
    }

    @Idempotent({ ...KEY, acknowledge: true, maxAttempts: { times: 2, afterwards: 'store' } })
    @EventPattern<string>('store')
    store(@Payload() order: Order): void {
      this.run('store', order);
    }

    @Idempotent({ ...KEY, acknowledge: true, maxAttempts: 2 })
    @EventPattern<string>('nack')
    nack(@Payload() { id }: Order, @Ctx() context: RmqContext): void {
      ran(`nack ${id!}`);
      channelOf(context).nack(messageOf(context));
    }

    @EventPattern('probe')
    probe(@Ctx() context: RmqContext): void {
      channelOf(context).ack(messageOf(context));
      runs.push('probe');
    }

    private run(name: string, { id, does }: Order): void {
      ran(`${name} ${id!}`);
      if (does === 'fail') throw new Error('secret');
    }
  }

  it.each([
    ['hold', 3, 'IDEMPOTENCY_OUTCOME_UNKNOWN'],
    ['reject', 2, 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED'],
  ])(
    'is in the dead letters after its last attempt, and so is a later delivery (%s)',
    async (name, times, later) => {
      await start(Limited);
      await queue.publish(name, POISON);
      await queue.publish(name, { id: '2' });
      await eventually(() => told().length === times);
      await queue.publish(name, POISON);
      await allIsSettled();
      expect(runs.filter((run) => run === `${name} 1`)).toHaveLength(times);
      expect(runs).toContain(`${name} 2`);
      expect(await queue.rejected()).toEqual([POISON, POISON]);
      expect(fates().slice(-2)).toEqual([
        'dropped IDEMPOTENCY_ATTEMPTS_EXHAUSTED',
        `dropped ${later}`,
      ]);
      expect(fates().filter((fate) => fate === 'returned HANDLER_FAILED')).toHaveLength(times - 1);
      expect(told()).toHaveLength(fates().length);
      expect(events.filter(({ type }) => type === 'exhausted')).toHaveLength(1);
    },
  );

  it('is acknowledged when it comes again, if its failure is its result', async () => {
    await start(Limited);
    await queue.publish('store', POISON);
    await eventually(() => told().length === 2);
    await queue.publish('store', POISON);
    await allIsSettled();
    expect(runs).toEqual(['store 1', 'store 1']);
    expect(await queue.rejected()).toEqual([POISON]);
  });

  it('that its handler gives back each time is rejected when it comes once more', async () => {
    await start(Limited);
    await queue.publish('nack', { id: '1' });
    await eventually(async () => (await queue.rejected()).length === 1);
    expect(runs).toEqual(['nack 1', 'nack 1']);
  });
});

it('a message that RabbitMQ has already forgotten is dropped with one line', async () => {
  @Controller()
  class Forgotten {
    @Idempotent(KEY)
    @EventPattern<string>('order')
    order(@Payload() { does }: Order): void {
      runs.push('order');
      if (does === 'fail') throw new Error('secret');
    }
  }
  await start(Forgotten, { noAck: true });
  await queue.publish('order', { id: '1' });
  await queue.publish('order', { id: '1', amount: 2 });
  await queue.publish('order', { id: '2', does: 'fail' });
  await eventually(() => fates().length === 2);
  expect(told()).toEqual([
    'error: IDEMPOTENCY_KEY_REUSED on order Forgotten.order: a message was dropped',
    'error: HANDLER_FAILED on order Forgotten.order: a message was dropped',
  ]);
});
