import { ConflictException, Controller, NotFoundException } from '@nestjs/common';
import {
  type ClientProxy,
  EventPattern,
  MessagePattern,
  Payload,
  RpcException,
  Transport,
} from '@nestjs/microservices';
import {
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  payload,
} from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { firstValueFrom, type Observable, of, toArray } from 'rxjs';
import { tally } from '../support/engine.js';
import { eventually } from '../support/http.js';
import { freePort } from '../support/servers/private-server.js';
import {
  connectProducer,
  type Consumer,
  startConsumer,
  type Way,
  WAYS,
} from './support/consumer.js';

interface Order {
  readonly id?: unknown;
  readonly amount?: number;
}

let runs: string[];
let decided: string[];
let gate: Gate | undefined;
beforeEach(() => {
  runs = [];
  decided = [];
  gate = undefined;
});

@Controller()
class Orders {
  @Idempotent({ key: payload('id') })
  @MessagePattern({ cmd: 'pay' })
  async pay(@Payload() order: Order, @Operation() op: IdempotentOperation): Promise<object> {
    runs.push(`pay ${String(order.id)}`);
    await gate?.pass();
    return { paid: order.amount, attempt: op.attempt, key: op.key };
  }

  @Idempotent({ key: payload('id'), wait: '5s' })
  @MessagePattern('patient')
  async patient(@Payload() order: Order): Promise<number> {
    runs.push(`patient ${String(order.id)}`);
    await gate?.pass();
    return runs.length;
  }

  @Idempotent({ key: payload('id') })
  @MessagePattern('stream')
  stream(@Payload() order: Order): Observable<number> {
    runs.push(`stream ${String(order.id)}`);
    return of(1, 2, 3);
  }

  @Idempotent({
    key: payload('id'),
    onError: (_error, _status, byDefault) => (decided.push(byDefault), byDefault),
  })
  @MessagePattern('fail')
  fail(@Payload() order: Order): never {
    runs.push(`fail ${String(order.id)}`);
    throw runs.length === 1 ? new NotFoundException() : new RpcException('no money');
  }

  @Idempotent({ key: payload('id'), onError: 'store' })
  @MessagePattern('refuse')
  refuse(@Payload() order: Order): never {
    runs.push(`refuse ${String(order.id)}`);
    throw new RpcException({ reason: 'no money', left: 3 });
  }

  @Idempotent({ key: payload() })
  @EventPattern('paid')
  async first(@Payload() id: unknown): Promise<void> {
    runs.push(`first ${String(id)}`);
    await gate?.pass();
  }

  @Idempotent({ key: payload() })
  @EventPattern('paid')
  second(@Payload() id: unknown): void {
    runs.push(`second ${String(id)}`);
    if (runs.filter((run) => run.startsWith('second')).length === 1) throw new ConflictException();
  }
}

describe.each(WAYS)('messages over TCP to an application that is %s', (way: Way) => {
  let consumer: Consumer;
  let producer: ClientProxy;

  beforeAll(async () => {
    const options = { host: '127.0.0.1', port: await freePort() };
    const store = new MemoryStore();
    consumer = await startConsumer(
      { transport: Transport.TCP, options },
      { controllers: [Orders], idempotency: { store }, way },
    );
    producer = await connectProducer({ transport: Transport.TCP, options });
  });

  afterAll(async () => {
    await producer?.close();
    await consumer?.close();
  });

  const ask = (pattern: unknown, content: unknown): Promise<unknown> =>
    firstValueFrom(producer.send<unknown>(pattern, content).pipe(toArray()));
  const tell = (pattern: string, content: unknown): Promise<unknown> =>
    firstValueFrom(producer.emit(pattern, content), { defaultValue: undefined });

  it('runs once, and answers every retry from the record', async () => {
    const order = { id: 'A-1', amount: 3 };
    const first = await ask({ cmd: 'pay' }, order);
    expect(first).toEqual([{ paid: 3, attempt: 1, key: 'A-1' }]);
    expect(await ask({ cmd: 'pay' }, order)).toEqual(first);
    expect(runs).toEqual(['pay A-1']);
  });

  it('refuses other content, and a duplicate of what is running', async () => {
    gate = new Gate();
    const first = ask({ cmd: 'pay' }, { id: 'A-2', amount: 1 });
    await gate.reached(1);
    await expect(ask({ cmd: 'pay' }, { id: 'A-2', amount: 2 })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
      status: 422,
      retryable: false,
    });
    await expect(ask({ cmd: 'pay' }, { id: 'A-2', amount: 1 })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_IN_USE',
      retryable: true,
      retryAfter: 1,
      message: 'Operation in progress',
    });
    gate.open();
    await first;
    expect(runs).toEqual(['pay A-2']);
  });

  it('lets duplicates wait for the first reply', async () => {
    gate = new Gate();
    const asked = Array.from({ length: 8 }, () => ask('patient', { id: 'A-3' }));
    await gate.reached(1);
    gate.open();
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 8 }, () => [1]));
    expect(runs).toEqual(['patient A-3']);
  });

  it('replays all that was emitted', async () => {
    expect(await ask('stream', { id: 'A-4' })).toEqual([1, 2, 3]);
    expect(await ask('stream', { id: 'A-4' })).toEqual([1, 2, 3]);
    expect(runs).toEqual(['stream A-4']);
  });

  it('runs again after a failure', async () => {
    await expect(ask('fail', { id: 'A-5' })).rejects.toMatchObject({ status: 'error' });
    await expect(ask('fail', { id: 'A-5' })).rejects.toMatchObject({ message: 'no money' });
    expect(runs).toEqual(['fail A-5', 'fail A-5']);
    expect(decided).toEqual(['release', 'release']);
  });

  it('replays an error that is the result as the same RpcException', async () => {
    const error = { reason: 'no money', left: 3 };
    await expect(ask('refuse', { id: 'A-6' })).rejects.toEqual(error);
    await expect(ask('refuse', { id: 'A-6' })).rejects.toEqual(error);
    expect(runs).toEqual(['refuse A-6']);
  });

  it.each([
    ['no object', 7, 'IDEMPOTENCY_KEY_REQUIRED'],
    ['no id', { amount: 1 }, 'IDEMPOTENCY_KEY_REQUIRED'],
    ['an id that is an object', { id: {} }, 'IDEMPOTENCY_KEY_INVALID'],
    ['an empty id', { id: '' }, 'IDEMPOTENCY_KEY_INVALID'],
  ])('refuses a payload with %s', async (_, content, code) => {
    await expect(ask({ cmd: 'pay' }, content)).rejects.toMatchObject({ code });
    expect(runs).toEqual([]);
  });

  it('runs each of two handlers of an event once, and one that failed again', async () => {
    for (let time = 0; time < 3; time++) await tell('paid', 'A-7');
    await eventually(() => runs.length === 3);
    await ask('patient', { id: 'A-8' });
    expect(tally(runs)).toEqual({ 'first A-7': 1, 'second A-7': 2, 'patient A-8': 1 });
  });

  it('finds the operation by its pattern, class and method', async () => {
    await ask({ cmd: 'pay' }, { id: 'A-9' });
    const scope = '{"cmd":"pay"} Orders.pay';
    expect(await consumer.idempotency.find({ scope, key: 'A-9' })).toMatchObject({
      state: 'completed',
    });
  });
});
