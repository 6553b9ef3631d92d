import { AmqpConnection } from '@golevelup/nestjs-rabbitmq';
import { jest } from '@jest/globals';
import { type INestApplicationContext, Logger } from '@nestjs/common';
import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import { type IdempotencyEvent, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { eventually } from '../support/http.js';
import {
  appWith,
  Consumer,
  Controlled,
  EXCHANGE,
  type Order,
  type Properties,
  QUEUES,
  type QueueName,
  Work,
  world,
} from './support/golevelup-app.js';
import { Rabbit } from './support/rabbitmq.js';

describe('handlers of @golevelup/nestjs-rabbitmq', () => {
  let rabbit: Rabbit;
  let channel: ConfirmChannel;
  let disconnect: () => Promise<void>;
  let app: INestApplicationContext;
  let amqp: AmqpConnection;
  let store: FaultInjectingStore;
  let lines: string[];
  let events: IdempotencyEvent[];

  beforeAll(async () => {
    rabbit = await Rabbit.start();
    const connection = await connect(rabbit.url);
    disconnect = () => connection.close();
    channel = await connection.createConfirmChannel();
    for (const queue of QUEUES) await channel.assertQueue(`${queue}.dead`, { durable: true });
    store = new FaultInjectingStore(new MemoryStore());
    app = await appWith(rabbit.url, store, {
      providers: [Consumer, Work] as never[],
      controllers: [Controlled] as never[],
    });
    amqp = app.get(AmqpConnection);
    app.get(IdempotencyService).events$.subscribe((event) => events.push(event));
  }, 180_000);

  afterAll(async () => {
    await disconnect?.();
    await rabbit?.stop();
  }, 60_000);

  beforeEach(() => {
    [lines, events] = [[], []];
    Object.assign(world, { runs: [], gate: new Gate() });
    for (const level of ['log', 'warn', 'error'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
        if (String(message).includes('IDEMPOTENCY') || String(message).includes('HANDLER_'))
          lines.push(`${level} ${String(message)}`);
      });
  });
  afterEach(() => jest.restoreAllMocks());

  const publish = async (key: string, order: Order, properties: Properties = {}): Promise<void> => {
    channel.publish(EXCHANGE, key, Buffer.from(JSON.stringify(order)), properties);
    await channel.waitForConfirms();
  };
  /** The next message may come while the last one is still running, so tests wait between two. */
  const settled = (many: number): Promise<void> => eventually(() => endings().length >= many);
  const ENDED: ReadonlySet<string> = new Set(['replayed', 'stored', 'released', 'rejected']);
  const endings = (): readonly string[] =>
    events.map(({ type }) => type as string).filter((type) => ENDED.has(type));
  const dead = async (queue: QueueName): Promise<ConsumeMessage> => {
    let found: Awaited<ReturnType<typeof channel.get>> = false;
    await eventually(async () => (found = await channel.get(`${queue}.dead`, { noAck: true })));
    return found as unknown as ConsumeMessage;
  };
  const noneIsDead = async (queue: QueueName): Promise<boolean> =>
    (await channel.get(`${queue}.dead`, { noAck: true })) === false;

  it('run once for each message, whatever differs between two deliveries of it', async () => {
    for (let time = 1; time <= 3; time++) {
      await publish('placed', { id: 'a' }, { messageId: 'a' });
      await settled(time);
    }
    expect(world.runs).toEqual(['placed a']);
    expect(lines).toEqual([]);
    expect(await noneIsDead('placed')).toBe(true);
  });

  it('T71: do the work again after a Nack, which is no result', async () => {
    await publish('placed', { id: 'b', does: 'requeue' }, { messageId: 'b' });
    await eventually(() => events.some(({ type }) => type === 'stored'));
    expect(world.runs).toEqual(['placed b', 'placed b']);
    expect(lines).toEqual([expect.stringMatching(/^warn HANDLER_GAVE_BACK on shop\/placed/)]);
    expect(events.filter(({ type }) => type === 'returned')).toHaveLength(1);
  });

  it('T71: run a message that its handler sent to the dead letters when it comes back', async () => {
    await publish('placed', { id: 'c', does: 'nack' }, { messageId: 'c' });
    const { content, properties } = await dead('placed');
    expect(lines).toEqual([expect.stringMatching(/^error HANDLER_GAVE_BACK on shop\/placed/)]);
    channel.publish(EXCHANGE, 'placed', content, properties);
    await eventually(() => events.some(({ type }) => type === 'stored'));
    expect(world.runs).toEqual(['placed c', 'placed c']);
  });

  it('T71: do the work again if it is a protected method that says Nack', async () => {
    await publish('inner', { id: 'd', does: 'requeue' });
    await eventually(() => events.some(({ type }) => type === 'stored'));
    expect(world.runs).toEqual(['inner d', 'inner d']);
  });

  it('answer a repeated request from the record', async () => {
    const ask = (order: Order): Promise<unknown> =>
      amqp.request({
        exchange: EXCHANGE,
        routingKey: 'asked',
        payload: order,
        headers: { 'X-Intent': order.id },
        timeout: 30_000,
      });
    expect(await ask({ id: 'e' })).toEqual({ asked: 'e', times: 1 });
    expect(await ask({ id: 'e' })).toEqual({ asked: 'e', times: 1 });
    expect(await ask({ id: 'f', does: 'requeue' })).toEqual({ asked: 'f', times: 3 });
    expect(world.runs).toEqual(['asked e', 'asked f', 'asked f']);
  });

  it('answer a repeated request with the same bytes', async () => {
    const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
    const asked = Buffer.from(JSON.stringify({ id: 'o', does: 'reply bytes' }));
    for (let time = 0; time < 2; time++)
      channel.publish(EXCHANGE, 'asked', asked, { headers: { 'X-Intent': 'o' }, replyTo });
    await eventually(async () => (await channel.checkQueue(replyTo)).messageCount === 2);
    for (let time = 0; time < 2; time++) {
      const reply = (await channel.get(replyTo, { noAck: true })) as unknown as ConsumeMessage;
      expect([...reply.content]).toEqual([1, 2, 3]);
    }
    expect(world.runs).toEqual(['asked o']);
  });

  it('give a message back that is running elsewhere, and leave it alone once it is done', async () => {
    const order: Order = { id: 'g', does: 'wait' };
    await publish('placed', order, { messageId: 'g' });
    await world.gate.reached(1);
    await publish('placed', order, { messageId: 'g' });
    await eventually(() => lines.length > 1);
    world.gate.open();
    await eventually(() => events.some(({ type }) => type === 'replayed'));
    expect(world.runs).toEqual(['placed g']);
    expect(new Set(lines)).toEqual(
      new Set([expect.stringMatching(/^warn IDEMPOTENCY_KEY_IN_USE on shop\/placed/)]),
    );
  });

  it('give a message back while the store is down', async () => {
    store.next('acquire', failBefore());
    await publish('placed', { id: 'h' }, { messageId: 'h' });
    await eventually(() => events.some(({ type }) => type === 'stored'));
    expect(world.runs).toEqual(['placed h']);
    expect(lines).toEqual([
      expect.stringMatching(/^warn IDEMPOTENCY_STORE_UNAVAILABLE on shop\/placed/),
    ]);
  });

  it('reject other content under a known id, with one line and one event', async () => {
    await publish('placed', { id: 'i' }, { messageId: 'i' });
    await settled(1);
    await publish('placed', { id: 'other' }, { messageId: 'i' });
    expect(JSON.parse((await dead('placed')).content.toString())).toEqual({ id: 'other' });
    expect(lines).toEqual([expect.stringMatching(/^error IDEMPOTENCY_KEY_REUSED on shop\/placed/)]);
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(1);
  });

  it('reject a request for good that an error handler might give back for ever', async () => {
    const send = (order: Order) =>
      channel.publish(EXCHANGE, 'asked', Buffer.from(JSON.stringify(order)), {
        headers: { 'X-Intent': 'j' },
        replyTo: 'nobody',
      });
    send({ id: 'j' });
    await eventually(() => events.some(({ type }) => type === 'stored'));
    send({ id: 'other' });
    await dead('asked');
    expect(lines).toEqual([
      expect.stringMatching(/^warn IDEMPOTENCY_KEY_REUSED on shop\/asked .* was refused/),
      expect.stringMatching(/^error IDEMPOTENCY_KEY_REUSED on shop\/asked .* was rejected/),
    ]);
  });

  it('S26: are rid of a message that always fails, or always goes back', async () => {
    await publish('limited', { id: 'k', does: 'fail' });
    await dead('limited');
    await publish('limited', { id: 'l', does: 'requeue always' });
    await dead('limited');
    expect(world.runs).toEqual(['limited k', 'limited k', 'limited l', 'limited l']);
    expect(lines.filter((line) => line.includes('ATTEMPTS_EXHAUSTED'))).toHaveLength(2);
  });

  it('count the routing key as content, where there may be several', async () => {
    await publish('any.first', { id: 'm' });
    await settled(1);
    await publish('any.first', { id: 'm' });
    await settled(2);
    await publish('any.second', { id: 'm' });
    const { properties } = await dead('any');
    expect(world.runs).toEqual(['any.first m']);
    expect(lines).toEqual([expect.stringMatching(/^error IDEMPOTENCY_KEY_REUSED/)]);
    // On its way back from the dead letters, a message has another routing key, but was sent to the first.
    const headers = {
      ...properties.headers,
      'x-death': [
        { queue: 'retry', reason: 'expired', exchange: 'retries', 'routing-keys': ['retry'] },
        { queue: 'any', reason: 'rejected', exchange: EXCHANGE, 'routing-keys': ['any.first'] },
      ],
      'x-first-death-queue': 'any',
      'x-first-death-reason': 'rejected',
    };
    events.splice(0);
    await publish('other', { id: 'm' }, { headers });
    await eventually(() => events.some(({ type }) => type === 'replayed'));
    expect(await noneIsDead('any')).toBe(true);
  });

  it('count the routing key as content, where the module may configure others', async () => {
    await publish('named.one', { id: 'p' });
    await settled(1);
    await publish('named.two', { id: 'p' });
    await dead('named');
    expect(world.runs).toEqual(['named.one p']);
    expect(lines).toEqual([expect.stringMatching(/^error IDEMPOTENCY_KEY_REUSED/)]);
  });

  it('run once for each message on an object that a factory makes', async () => {
    await publish('custom', { id: 'q' });
    await settled(1);
    await publish('custom', { id: 'q' });
    await settled(2);
    expect(world.runs).toEqual(['custom q']);
  });

  it('are covered by the decorator of their controller', async () => {
    await publish('controlled', { id: 'n' });
    await settled(1);
    await publish('controlled', { id: 'n' });
    await settled(2);
    expect(world.runs).toEqual(['controlled n']);
  });

  it('leave nothing unsettled', async () => {
    await app.close();
    // Of a consumer that is gone its queue takes back what was not settled.
    for (const queue of QUEUES) expect((await channel.checkQueue(queue)).messageCount).toBe(0);
  });
});
