import { jest } from '@jest/globals';
import { Controller, Logger } from '@nestjs/common';
import {
  EventPattern,
  KafkaContext,
  KafkaRetriableException,
  MessagePattern,
  MqttContext,
  NatsContext,
  Payload,
  RedisContext,
  RpcException,
  TcpContext,
} from '@nestjs/microservices';
import { DelayedError, UnrecoverableError, WaitingChildrenError, WaitingError } from 'bullmq';
import {
  header,
  Idempotent,
  IdempotencyException,
  MemoryStore,
  messageId,
  payload,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { isNotNow, isUnrecoverable } from '../../src/keys/jobs.js';
import { addContexts, redeliversFailed } from '../../src/transports/rpc/transport-context.js';
import { type Consumer, startConsumer } from './support/consumer.js';
import { HandedServer } from './support/handed-server.js';

interface Order {
  readonly id: string;
}

let runs: number;
let gate: Gate | undefined;

@Controller()
class Orders {
  @Idempotent({ key: messageId(), fingerprint: false })
  @MessagePattern('by id')
  async byId(): Promise<number> {
    await gate?.pass();
    return (runs += 1);
  }

  @Idempotent({ key: messageId() })
  @EventPattern('by id and content')
  byIdAndContent(@Payload() _order: Order): void {
    runs += 1;
  }

  @Idempotent({ key: header('X-Order'), fingerprint: false })
  @MessagePattern('by header')
  byHeader(): number {
    return (runs += 1);
  }

  @Idempotent({ key: payload('id'), maxAttempts: 2 })
  @EventPattern<string>('poison')
  poison(@Payload() _order: Order): void {
    runs += 1;
    throw new Error('poison');
  }

  @Idempotent({ key: payload('id'), maxAttempts: 1 })
  @EventPattern<string>('busy')
  busy(@Payload() _order: Order): void {
    runs += 1;
    if (runs < 3) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
  }

  @Idempotent({ key: payload('id') })
  @EventPattern(['stock.in', 'stock.out'])
  moved(@Payload() _order: Order): void {
    runs += 1;
  }

  @Idempotent({ key: payload('id') })
  @EventPattern<string>('audit.*')
  audited(@Payload() _order: Order): void {
    runs += 1;
  }

  @Idempotent({ key: payload('id') })
  @EventPattern(/^returned\./)
  returned(@Payload() _order: Order): void {
    runs += 1;
  }

  @Idempotent({ key: payload('id') })
  @EventPattern('placed')
  async placed(@Payload() _order: Order): Promise<void> {
    runs += 1;
    await gate?.pass();
  }
}

@Idempotent({ key: payload('id') })
@Controller()
class Events {
  @EventPattern('covered')
  covered(@Payload() _order: Order): number {
    return (runs += 1);
  }

  @MessagePattern('not covered')
  asked(@Payload() _order: Order): number {
    return (runs += 1);
  }
}

let server: HandedServer;
let consumer: Consumer;
let store: FaultInjectingStore;

beforeEach(async () => {
  [runs, gate] = [0, undefined];
  server = new HandedServer();
  store = new FaultInjectingStore(new MemoryStore());
  consumer = await startConsumer(
    { strategy: server },
    { controllers: [Orders, Events], idempotency: { store } },
  );
});
afterEach(() => consumer?.close());

/** As a server of Kafka makes it; headers are bytes. */
function kafka(offset: string, headers: Record<string, string> = {}): KafkaContext {
  const bytes = Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]);
  const message = { offset, headers: Object.fromEntries(bytes) as Record<string, Buffer> };
  return new KafkaContext([message as never, 3, 'orders', null!, null!, null!]);
}

const mqtt = (userProperties?: Record<string, string>): MqttContext =>
  new MqttContext(['orders', { properties: { userProperties } }]);

/** `Metadata` of gRPC: names in lower case, the last value of each. */
const grpc = (map: Record<string, string | Buffer>) => ({ getMap: () => map });

const [A, B] = [{ 'Message-Id': 'A' }, { 'Message-Id': 'B' }];

describe('the id of a message', () => {
  it.each([
    ['Kafka: topic, partition and offset', kafka('1'), kafka('1'), kafka('2')],
    ['Kafka: the header, rather than these', kafka('1', A), kafka('2', A), kafka('1', B)],
    ['MQTT: a user property', mqtt(A), mqtt(A), mqtt(B)],
    [
      'gRPC: an entry of the metadata',
      grpc({ 'message-id': 'A' }),
      grpc({ 'message-id': 'A' }),
      grpc({ 'message-id': 'B' }),
    ],
  ])('%s', async (_, first, again, other) => {
    expect(await server.hand('by id', {}, first)).toEqual([1]);
    expect(await server.hand('by id', {}, again)).toEqual([1]);
    expect(await server.hand('by id', {}, other)).toEqual([2]);
  });

  it.each([
    ['MQTT without properties', mqtt()],
    ['gRPC without an entry', grpc({})],
    ['a transport that nobody knows', {}],
    ['no context at all', undefined],
  ])('is not there: %s', async (_, context) => {
    await expect(server.hand('by id', {}, context)).rejects.toMatchObject(
      'getMap' in (context ?? {}) ? { code: 3 } : { code: 'IDEMPOTENCY_KEY_REQUIRED' },
    );
    expect(runs).toBe(0);
  });
});

describe('where a message was sent to', () => {
  const sentTo = (subject: string): NatsContext => new NatsContext([subject, undefined!]);

  it.each([
    ['several patterns', 'stock.in', 'stock.in', 'stock.out'],
    ['wildcards', 'audit.*', 'audit.one', 'audit.two'],
    ['a regular expression', /^returned\./, 'returned.one', 'returned.two'],
  ])('is content for a handler of %s', async (_, pattern, subject, other) => {
    const dropped: unknown[] = [];
    consumer.idempotency.events$.subscribe((event) => {
      if (event.type === 'dropped') dropped.push(event.code);
    });
    await server.hand(pattern, { id: '1' }, sentTo(subject));
    await server.hand(pattern, { id: '1' }, sentTo(subject));
    expect(dropped).toEqual([]);
    await server.hand(pattern, { id: '1' }, sentTo(other));
    expect(dropped).toEqual(['IDEMPOTENCY_KEY_REUSED']);
    expect(runs).toBe(1);
  });
});

it('an offset that begins again does not make other content a duplicate', async () => {
  const dropped: unknown[] = [];
  consumer.idempotency.events$.subscribe((event) => {
    if (event.type === 'dropped') dropped.push(event.code);
  });
  await server.hand('by id and content', { id: 'A' }, kafka('1'));
  await server.hand('by id and content', { id: 'B' }, kafka('1'));
  await server.hand('by id and content', { id: 'A' }, kafka('1'));
  expect(runs).toBe(1);
  expect(dropped).toEqual(['IDEMPOTENCY_KEY_REUSED']);
});

describe('a header of a message', () => {
  it.each([
    ['Kafka', kafka('1', { 'X-Order': '7' }), kafka('2', { 'x-order': '7' })],
    ['MQTT', mqtt({ 'X-Order': '7' }), mqtt({ 'x-order': '7' })],
    ['gRPC', grpc({ 'x-order': '7' }), grpc({ 'x-order': Buffer.from('7') })],
  ])('of %s is the key, whatever the case of its name', async (_, first, again) => {
    expect(await server.hand('by header', {}, first)).toEqual([1]);
    expect(await server.hand('by header', {}, again)).toEqual([1]);
  });
});

describe('a refusal', () => {
  async function inFlight(context: unknown): Promise<unknown> {
    gate = new Gate();
    const first = server.hand('by id', {}, context);
    await gate.reached(1);
    const refusal = await server.hand('by id', {}, context).catch((error: unknown) => error);
    gate.open();
    await first;
    return refusal;
  }

  it('that may pass is thrown so that Kafka hands the message over again', async () => {
    const refusal = await inFlight(kafka('1'));
    expect(refusal).toBeInstanceOf(KafkaRetriableException);
    expect(refusal).toMatchObject({ cause: { code: 'IDEMPOTENCY_KEY_IN_USE' } });
  });

  it('that does not pass is not, with Kafka', async () => {
    const request = kafka('1', { kafka_correlationId: 'A', kafka_replyTopic: 'replies' });
    const refusal = await server.hand('by header', {}, request).catch((error: unknown) => error);
    expect(refusal).not.toBeInstanceOf(RpcException);
    expect(refusal).toMatchObject({ code: 'IDEMPOTENCY_KEY_REQUIRED', status: 400 });
  });

  it('has the status code of gRPC', async () => {
    expect(await inFlight(grpc({ 'message-id': 'A' }))).toMatchObject({
      code: 10,
      message: expect.stringContaining('IDEMPOTENCY_KEY_IN_USE') as string,
    });
    await expect(server.hand('by id', {}, grpc({}))).rejects.toMatchObject({ code: 3 });
    store.always('acquire', failBefore());
    const context = grpc({ 'message-id': 'B' });
    await expect(server.hand('by id', {}, context)).rejects.toMatchObject({ code: 14 });
  });

  it('of an event in flight is thrown so that Kafka hands it over again', async () => {
    gate = new Gate();
    const first = server.hand('placed', { id: 'A' }, kafka('1'));
    await gate.reached(1);
    await expect(server.hand('placed', { id: 'A' }, kafka('2'))).rejects.toBeInstanceOf(
      KafkaRetriableException,
    );
    gate.open();
    await first;
    expect(await server.hand('placed', { id: 'A' }, kafka('3'))).toEqual([undefined]);
    expect(runs).toBe(1);
  });
});

describe('an event that is refused for good', () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
    for (const level of ['log', 'warn', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
        lines.push(String(message));
      });
  });
  afterEach(() => void jest.restoreAllMocks());

  it.each([
    ['Kafka', kafka('1')],
    ['MQTT', mqtt()],
    ['NATS', new NatsContext(['placed', undefined])],
    ['TCP', new TcpContext([undefined as never, 'placed'])],
    ['Redis', new RedisContext(['placed'])],
    ['a transport that nobody knows', {}],
  ])('ends with one line and one event: %s', async (_, context) => {
    const events: string[] = [];
    consumer.idempotency.events$.subscribe(({ type }) => events.push(type));
    expect(await server.hand('placed', { id: '' }, context)).toEqual([undefined]);
    expect(lines).toEqual([
      expect.stringMatching(/^IDEMPOTENCY_KEY_INVALID on placed Orders\.placed: .* dropped/),
    ]);
    expect(events).toEqual(['rejected', 'dropped']);
    expect(runs).toBe(0);
  });

  it('ends with one line, sent to a handler of requests over Kafka', async () => {
    expect(await server.hand('by header', {}, kafka('1'))).toEqual([undefined]);
    expect(lines).toEqual([expect.stringContaining('IDEMPOTENCY_KEY_REQUIRED on by header')]);
  });

  it('is not handed over again by Kafka after the last attempt of its handler', async () => {
    const deliver = (): Promise<unknown> => server.hand('poison', { id: 'A' }, kafka('1'));
    await expect(deliver()).rejects.toMatchObject({ status: 'error' });
    for (let time = 0; time < 2; time++) expect(await deliver()).toEqual([undefined]);
    expect(runs).toBe(2);
    expect(lines.filter((line) => line.includes(' on poison'))).toEqual([
      expect.stringMatching(/^HANDLER_FAILED .* given back/),
      expect.stringMatching(/^IDEMPOTENCY_ATTEMPTS_EXHAUSTED .* dropped/),
      expect.stringMatching(/^IDEMPOTENCY_OUTCOME_UNKNOWN .* dropped/),
    ]);
  });

  it('has used up no attempt if a protected method of its handler could not begin', async () => {
    const deliver = (): Promise<unknown> => server.hand('busy', { id: 'A' }, kafka('1'));
    for (let time = 0; time < 2; time++)
      await expect(deliver()).rejects.toBeInstanceOf(KafkaRetriableException);
    for (let time = 0; time < 2; time++) expect(await deliver()).toEqual([undefined]);
    expect(runs).toBe(3);
    expect(lines.filter((line) => line.includes(' on busy'))).toEqual(
      Array.from({ length: 2 }, () =>
        expect.stringMatching(/^IDEMPOTENCY_KEY_IN_USE .* given back/),
      ),
    );
  });

  it('is handed over again while the store is down, if the transport may do that', async () => {
    store.always('acquire', failBefore());
    await expect(server.hand('placed', { id: 'A' }, kafka('1'))).rejects.toBeInstanceOf(
      KafkaRetriableException,
    );
    expect(lines.filter((line) => line.includes(' on placed'))).toEqual([
      expect.stringMatching(/^IDEMPOTENCY_STORE_UNAVAILABLE .* given back/),
    ]);
    const nats = new NatsContext(['placed', undefined]);
    expect(await server.hand('placed', { id: 'A' }, nats)).toEqual([undefined]);
  });
});

it('a decorated class covers its handlers of events, and not those of requests', async () => {
  for (let time = 0; time < 2; time++) await server.hand('covered', { id: 'A' }, kafka('1'));
  expect(runs).toBe(1);
  for (let time = 0; time < 2; time++) await server.hand('not covered', { id: 'A' }, kafka('1'));
  expect(runs).toBe(3);
});

describe('what a bundler has renamed is known', () => {
  /** As the class of a bundle would be: nothing has its name. */
  const renamed = (error: Error): Error => new (class a extends Error {})(error.message);

  it.each([new DelayedError(), new WaitingError(), new WaitingChildrenError()])(
    '$name',
    (error) => {
      expect(isNotNow(error, false)).toBe(true);
      expect(isNotNow(renamed(error), false)).toBe(true);
      expect(isNotNow(renamed(new Error(error.name)), true)).toBe(false);
    },
  );

  it('UnrecoverableError', () => {
    expect(isUnrecoverable(renamed(new UnrecoverableError()))).toBe(true);
    expect(isUnrecoverable(renamed(new Error('declined')))).toBe(false);
  });

  it('the contexts of transports that do not deliver again', () => {
    class a {}
    class b {}
    expect(redeliversFailed(new a())).toBe(true);
    addContexts({ RmqContext: a, KafkaContext: b });
    expect(redeliversFailed(new a())).toBe(false);
    expect(redeliversFailed(new b())).toBe(true);
  });
});
