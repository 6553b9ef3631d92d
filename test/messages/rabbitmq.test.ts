import { jest } from '@jest/globals';
import {
  BadRequestException,
  type CanActivate,
  Controller,
  Logger,
  type NestInterceptor,
  UnprocessableEntityException,
  UseGuards,
} from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RmqContext } from '@nestjs/microservices';
import type { Channel, Message } from 'amqplib';
import { EventEmitter, once } from 'node:events';
import { Idempotent, MemoryStore, messageId, payload } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { firstValueFrom, of, retry } from 'rxjs';
import { eventually } from '../support/http.js';
import { ChannelWatch } from './support/channel-watch.js';
import { type Consumer, connectProducer, startConsumer } from './support/consumer.js';
import { type Queue, Rabbit } from './support/rabbitmq.js';

interface Order {
  readonly id?: unknown;
  readonly fails?: 'once' | 'bad' | 'unprocessable' | 'held';
}

let runs: string[];
let gate: Gate | undefined;
let lateGate: Gate | undefined;

/** Notes that it was called; true the first time. */
function ran(name: string): boolean {
  runs.push(name);
  return runs.filter((run) => run === name).length === 1;
}

function acknowledge(context: RmqContext, isForOlder = false): void {
  const channel = context.getChannelRef() as Channel;
  channel.ack(context.getMessage() as Message, isForOlder);
}

/** Keeps a handler from beginning. */
class LateGuard implements CanActivate {
  async canActivate(): Promise<boolean> {
    await lateGate?.pass();
    return true;
  }
}

const probes = new EventEmitter();
const OPTIONS = { acknowledge: true, retryAfter: 20 } as const;

@Controller()
class Orders {
  @Idempotent({ ...OPTIONS, key: payload('id') })
  @EventPattern('order')
  async order(@Payload() { id, fails }: Order): Promise<void> {
    const isFirst = ran(`order ${String(id)}`);
    await gate?.pass();
    if (fails === 'bad') throw new BadRequestException();
    if (fails === 'unprocessable') throw new UnprocessableEntityException();
    if (fails === 'once' && isFirst) throw new Error('out of order');
  }

  @Idempotent({ ...OPTIONS, key: payload('id'), onError: () => 'hold' })
  @EventPattern<string>('risky')
  risky(@Payload() { id }: Order): never {
    ran(`risky ${String(id)}`);
    throw new Error('nobody knows');
  }

  @Idempotent({ ...OPTIONS, key: payload('id'), onError: () => 'store' })
  @EventPattern<string>('final')
  final(@Payload() { id }: Order): never {
    ran(`final ${String(id)}`);
    throw new Error('that is it');
  }

  @Idempotent({ ...OPTIONS, key: payload('id'), wait: '20s' })
  @EventPattern('patient')
  async patient(@Payload() { id, fails }: Order): Promise<void> {
    const isFirst = ran(`patient ${String(id)}`);
    await gate?.pass();
    if (fails === 'once' && isFirst) throw new Error('out of order');
  }

  @Idempotent({ ...OPTIONS, key: messageId() })
  @EventPattern<string>('own')
  own(@Payload() id: string, @Ctx() context: RmqContext): void {
    ran(`own ${id}`);
    acknowledge(context);
  }

  @Idempotent({ ...OPTIONS, key: payload() })
  @EventPattern<string>('older')
  async older(@Payload() name: string, @Ctx() context: RmqContext): Promise<void> {
    ran(name);
    if (name === 'youngest') acknowledge(context, true);
    else await gate?.pass();
  }

  @EventPattern('probe')
  probe(@Ctx() context: RmqContext): void {
    acknowledge(context);
    probes.emit('taken', this);
  }

  @Idempotent({ ...OPTIONS, key: payload('id') })
  @EventPattern({ z: 1, about: 'both' })
  one(@Payload() { id }: Order): void {
    ran(`one ${String(id)}`);
  }

  @Idempotent({ ...OPTIONS, key: payload('id') })
  @EventPattern({ about: 'both', z: 1 })
  @UseGuards(LateGuard)
  other(@Payload() { id, fails }: Order): void {
    if (ran(`other ${String(id)}`) && fails === 'once') throw new Error('not yet');
  }

  @Idempotent({ ...OPTIONS, key: payload('id') })
  @MessagePattern('ask')
  ask(@Payload() { id, fails }: Order): object {
    if (ran(`ask ${String(id)}`) && fails === 'once') throw new Error('not yet');
    return { asked: id };
  }

  @Idempotent({ ...OPTIONS, key: payload('id') })
  @EventPattern<string>('nothing')
  nothing() {
    ran('nothing');
    return of();
  }

  @Idempotent({ ...OPTIONS, key: payload('id') })
  @EventPattern<string>('nothing')
  @UseGuards(LateGuard)
  something(): void {
    ran('something');
  }
}

let rabbit: Rabbit;
let queue: Queue;
let consumers: Consumer[];
let store: FaultInjectingStore;
let channelErrors: Error[];

beforeAll(async () => {
  rabbit = await Rabbit.start();
}, 180_000);
afterAll(() => rabbit?.stop());

beforeEach(async () => {
  [runs, consumers, channelErrors] = [[], [], []];
  gate = lateGate = undefined;
  store = new FaultInjectingStore(new MemoryStore());
  queue = await rabbit.queue();
});

/** Whatever happened: nothing is left unsettled, and no channel was closed. */
async function expectNothingLeft(): Promise<void> {
  for (const consumer of consumers) await consumer.close();
  expect(await queue.left()).toBe(0);
  expect(channelErrors).toEqual([]);
}
afterEach(expectNothingLeft);

async function start({ prefetchCount = 1, retries = 0, noAck = false } = {}): Promise<void> {
  const retrying: NestInterceptor = { intercept: (_, next) => next.handle().pipe(retry(retries)) };
  const consumer = await startConsumer(queue.transport({ prefetchCount, noAck }), {
    controllers: [Orders],
    idempotency: { store },
    configure: (app) =>
      app.useGlobalInterceptors(
        new ChannelWatch((error) => channelErrors.push(error)) as never,
        retrying as never,
      ),
  });
  consumers.push(consumer);
}

/** A consumer takes one message at a time: one that takes another has settled those before. */
async function allIsSettled(): Promise<void> {
  const free = new Set<unknown>();
  await eventually(async () => {
    const taken = once(probes, 'taken');
    await queue.publish('probe', null);
    const [consumer] = (await taken) as [Orders];
    return free.add(consumer).size === consumers.length;
  });
}

const rejected = (): Promise<unknown[]> => queue.rejected();

describe('an event', () => {
  it('is acknowledged when it is done, and its finished duplicate without running', async () => {
    await start();
    for (let time = 0; time < 3; time++) await queue.publish('order', { id: 1 });
    await allIsSettled();
    expect(runs).toEqual(['order 1']);
    expect(await rejected()).toEqual([]);
  });

  it('comes again after a failure, and is processed then', async () => {
    await start();
    await queue.publish('order', { id: 1, fails: 'once' });
    await allIsSettled();
    expect(runs).toEqual(['order 1', 'order 1']);
  });

  it('that failed here is processed by another consumer', async () => {
    await start();
    gate = new Gate();
    await queue.publish('order', { id: 1, fails: 'once' });
    await gate.reached(1);
    const [first] = consumers.splice(0);
    await start();
    gate.open();
    await first!.close();
    await eventually(() => runs.length === 2);
    expect(runs).toEqual(['order 1', 'order 1']);
  });

  it.each([
    ['has no id', { fails: 'once' }],
    ['has an id that is an object', { id: {} }],
    ['has an empty id', { id: '' }],
    ['has an id that is too long', { id: 'x'.repeat(256) }],
    ['is no object', 'text'],
    ['is nothing', null],
  ])('that %s is rejected, and nothing is on record', async (_, data) => {
    await start();
    await queue.publish('order', data);
    await allIsSettled();
    expect(await rejected()).toEqual([data]);
    expect(runs).toEqual([]);
    expect(store.count()).toBe(0);
  });

  it.each(['bad', 'unprocessable'])(
    'that its handler finds %s is rejected, and runs if it is sent again',
    async (fails) => {
      await start();
      const order = { id: 1, fails };
      for (let time = 0; time < 2; time++) await queue.publish('order', order);
      await allIsSettled();
      expect(await rejected()).toEqual([order, order]);
      expect(runs).toEqual(['order 1', 'order 1']);
    },
  );

  it('without an id of its own is rejected where that is the key', async () => {
    await start();
    await queue.publish('own', 'nameless');
    await allIsSettled();
    expect(await rejected()).toEqual(['nameless']);
  });

  it('with other content under the same id is rejected', async () => {
    await start();
    await queue.publish('order', { id: 1 });
    await queue.publish('order', { id: 1, amount: 2 });
    await allIsSettled();
    expect(await rejected()).toEqual([{ id: 1, amount: 2 }]);
  });

  it('that is running elsewhere goes back to the queue, and is not lost when that fails', async () => {
    await start();
    await start();
    gate = new Gate();
    const order = { id: 1, fails: 'once' };
    await queue.publish('order', order);
    await gate.reached(1);
    await queue.publish('order', order);
    await eventually(() => store.count('acquire') > 3);
    expect(runs).toEqual(['order 1']);
    gate.open();
    await eventually(() => runs.length === 2);
    await allIsSettled();
    expect(runs).toEqual(['order 1', 'order 1']);
  });

  it('of which nobody knows what became of it is rejected when it comes again', async () => {
    await start();
    await queue.publish('risky', { id: 1 });
    await eventually(async () => (await rejected()).length === 1);
    expect(runs).toEqual(['risky 1']);
  });

  it('whose failure is its result is acknowledged when it comes again', async () => {
    await start();
    await queue.publish('final', { id: 1 });
    await eventually(() => store.count('acquire') === 2);
    await allIsSettled();
    expect(runs).toEqual(['final 1']);
    expect(await rejected()).toEqual([]);
  });

  it('goes back to the queue while the store is down, and is processed when it is up', async () => {
    await start();
    store.always('acquire', failBefore());
    await queue.publish('order', { id: 1 });
    await eventually(() => store.count() > 3);
    expect(runs).toEqual([]);
    store.heal();
    await allIsSettled();
    expect(runs).toEqual(['order 1']);
  });

  it('that is running elsewhere is waited for, where it may be', async () => {
    await start();
    await start();
    gate = new Gate();
    for (let time = 0; time < 2; time++) await queue.publish('patient', { id: 1, fails: 'once' });
    await gate.reached(1);
    await eventually(() => store.count('acquire') >= 2);
    gate.open();
    await allIsSettled();
    expect(runs).toEqual(['patient 1', 'patient 1']);
  });

  it('that its handler acknowledges itself is not acknowledged again', async () => {
    await start();
    for (const id of ['a', 'a', 'b']) await queue.publish('own', id, { messageId: id });
    await allIsSettled();
    expect(runs).toEqual(['own a', 'own b']);
  });

  it('that a handler acknowledges with a younger one is not acknowledged again', async () => {
    await start({ prefetchCount: 3 });
    gate = new Gate();
    for (const name of ['oldest', 'older', 'youngest']) await queue.publish('older', name);
    await gate.reached(2);
    await eventually(() => runs.length === 3);
    gate.open();
    await allIsSettled();
    expect(runs).toEqual(['oldest', 'older', 'youngest']);
  });

  it('sent to a handler of requests comes again after a failure', async () => {
    await start();
    await queue.publish('ask', { id: 1, fails: 'once' });
    await allIsSettled();
    expect(runs).toEqual(['ask 1', 'ask 1']);
  });

  it('whose handler an interceptor calls again is acknowledged when that succeeds', async () => {
    await start({ retries: 1 });
    await queue.publish('order', { id: 1, fails: 'once' });
    await queue.publish('order', { id: 1, fails: 'once' });
    await allIsSettled();
    expect(runs).toEqual(['order 1', 'order 1']);
  });
});

it('an acknowledgement that RabbitMQ does not expect is complained of, with the remedy', async () => {
  const logged = jest.spyOn(Logger.prototype, 'error').mockReturnValue();
  await start({ noAck: true });
  await queue.publish('order', { id: 1 });
  await eventually(() => channelErrors.length === 1);
  expect(logged).toHaveBeenCalledWith(expect.stringContaining('needs `noAck: false`'));
  logged.mockRestore();
  channelErrors = [];
});

describe('an event with two handlers', () => {
  const both = { about: 'both', z: 1 };

  it('runs each once, and is acknowledged when both are through', async () => {
    await start();
    lateGate = new Gate();
    for (let time = 0; time < 2; time++) await queue.publish({ z: 1, about: 'both' }, { id: 1 });
    await eventually(() => store.count('complete') === 1);
    const { messageCount } = await queue.state();
    lateGate.open();
    await allIsSettled();
    expect(messageCount).toBe(1);
    expect(runs).toEqual(['one 1', 'other 1']);
  });

  it('runs the one that failed again, and not the other', async () => {
    await start();
    await queue.publish(both, { id: 1, fails: 'once' });
    await allIsSettled();
    expect(runs.sort()).toEqual(['one 1', 'other 1', 'other 1']);
  });

  it('runs the second when the first has nothing to say', async () => {
    await start();
    lateGate = new Gate();
    await queue.publish('nothing', { id: 1 });
    await eventually(() => store.count('complete') === 1);
    lateGate.open();
    await queue.publish('nothing', { id: 1 });
    await allIsSettled();
    expect(runs).toEqual(['nothing', 'something']);
  });
});

describe('a request', () => {
  it('is answered and acknowledged, when it has failed as well, and answered from the record', async () => {
    await start();
    const producer = await connectProducer(queue.producer());
    const ask = (order: Order): Promise<unknown> => firstValueFrom(producer.send('ask', order));
    try {
      await expect(ask({ id: 1, fails: 'once' })).rejects.toMatchObject({ status: 'error' });
      for (let time = 0; time < 2; time++)
        expect(await ask({ id: 1, fails: 'once' })).toEqual({ asked: 1 });
      await expect(ask({})).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REQUIRED' });
    } finally {
      await producer.close();
    }
    await allIsSettled();
    expect(runs).toEqual(['ask 1', 'ask 1']);
    expect(await rejected()).toEqual([]);
  });
});
