import {
  type INestApplicationContext,
  Injectable,
  Module,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  arg,
  Idempotent,
  type IdempotentDeclaration,
  IdempotencyModule,
  signature,
} from 'nestjs-idempotency';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';

/** What the SDK of AWS delivers. */
interface Message {
  readonly MessageId: string;
  readonly Body: string;
  readonly ReceiptHandle: string;
  readonly Attributes: { readonly ApproximateReceiveCount: string };
}

const delivered = (count: number, Body = 'pay 7'): Message => ({
  MessageId: 'm-1',
  Body,
  ReceiptHandle: `receipt ${count}`,
  Attributes: { ApproximateReceiveCount: String(count) },
});

let runs: unknown[];
let logged: string[];
let app: INestApplicationContext | undefined;
beforeEach(() => {
  runs = [];
  logged = [];
});
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start<T>(type: Type<T>): Promise<T> {
  @Module({ imports: [IdempotencyModule.forRoot()], providers: [type] })
  class DeliveriesModule {}
  const log = (...lines: unknown[]): void => void logged.push(String(lines[0]));
  app = await NestFactory.createApplicationContext(DeliveriesModule, {
    logger: { log: () => undefined, error: log, warn: log },
    abortOnError: false,
  });
  return app.get(type);
}

/** A consumer of messages as plain methods get them. */
function consumerOf(options: IdempotentDeclaration) {
  @Injectable()
  class Consumer {
    @Idempotent(options)
    async handle(...given: unknown[]): Promise<string> {
      runs.push(given);
      return Promise.resolve(`run ${runs.length}`);
    }
  }
  return start(Consumer);
}

const KEY = arg(0, 'MessageId');

describe('a method that gets a delivery', () => {
  it.each<[string, IdempotentDeclaration]>([
    ['a function', { key: KEY, content: ({ args }) => (args![0] as Message).Body }],
    ['a source', { key: KEY, content: arg(0, 'Body') }],
    ['a list', { key: KEY, content: [arg(0, 'Body'), () => 'always'] }],
    ['a list, which is the key', { key: signature(), content: [arg(0, 'Body')] }],
    ['a source, which is the key', { key: signature(), content: arg(0, 'Body') }],
  ])('is called once for all deliveries if its content is named by %s', async (_, options) => {
    const consumer = await consumerOf(options);
    for (const count of [1, 2]) expect(await consumer.handle(delivered(count))).toBe('run 1');
    const other = await consumer
      .handle(delivered(1, 'pay 8'))
      .catch(({ code }: { readonly code: string }) => code);
    expect(other).toBe(options.key === KEY ? 'IDEMPOTENCY_KEY_REUSED' : 'run 2');
    expect(logged).toEqual([]);
  });

  it('is warned of at its first call if nothing names the content, once', async () => {
    const consumer = await consumerOf({ key: KEY });
    await consumer.handle(delivered(1));
    await expect(consumer.handle(delivered(2))).rejects.toThrow('IDEMPOTENCY_KEY_REUSED');
    expect(logged).toEqual([
      expect.stringMatching(
        /^Consumer\.handle: argument 0 looks like a delivery.*content: arg\(0/s,
      ),
    ]);
  });

  it('is not run if the delivery is the key, because every one of them would run', async () => {
    const consumer = await consumerOf({ key: signature() });
    for (const count of [1, 2])
      await expect(consumer.handle(delivered(count))).rejects.toMatchObject({
        code: 'IDEMPOTENCY_NOT_PROTECTED',
      });
    expect(runs).toEqual([]);
    expect(await consumer.handle({ Body: 'plain' })).toBe('run 1');
  });

  it.each<[string, unknown]>([
    ['a list of them', [delivered(1)]],
    ['a record of Lambda', { messageId: 'm', body: '', receiptHandle: 'r', attributes: {} }],
    ['a raw message of AMQP', { fields: { deliveryTag: 1 }, properties: {}, content: Buffer.of() }],
    ['a message of Pub/Sub', { id: 'm', data: Buffer.of(), ackId: 'a', ack: () => undefined }],
    ['a message of Kafka', { topic: 't', message: {}, heartbeat: () => Promise.resolve() }],
  ])('is recognised: %s', async (_, delivery) => {
    const consumer = await consumerOf({ key: () => 'k' });
    await consumer.handle('first', delivery);
    expect(logged).toEqual([expect.stringContaining('argument 1 looks like a delivery')]);
  });

  it('is not suspected for plain values, jobs and signals', async () => {
    const consumer = await consumerOf({ key: arg(0) });
    const plain = { id: 1, attributes: { colour: 'red' }, on: true, info: null };
    const first = await consumer.handle('a', plain, new Date(0), AbortSignal.timeout(60_000));
    const again = consumer.handle('a', plain, new Date(0), new AbortController().signal);
    expect(await again).toBe(first);
    expect(logged).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['nothing', () => undefined],
    ['a missing member', arg(0, 'body')],
  ])('is refused if its content is %s', async (_, content) => {
    const consumer = await consumerOf({ key: KEY, content } as IdempotentDeclaration);
    await expect(consumer.handle(delivered(1))).rejects.toMatchObject({
      code: 'IDEMPOTENCY_FINGERPRINT_UNAVAILABLE',
    });
    expect(runs).toEqual([]);
  });
});

describe('at boot', () => {
  @Injectable()
  class Types {
    @Idempotent({ key: arg(0) })
    socket(_key: string, _socket: Socket): void {}

    @Idempotent({ key: arg(0) })
    request(_key: string, _request: IncomingMessage): void {}

    @Idempotent({ key: arg(0) })
    stream(_key: string, _stream: Readable): void {}

    @SetMetadata(Symbol.for('SQS_CONSUMER_METHOD'), { name: 'payments' })
    @Idempotent({ key: KEY })
    sqs(_message: Message): void {}

    @Idempotent({ key: arg(0), content: arg(0) })
    named(_key: string, _socket: Socket): void {}

    @Idempotent({ key: arg(0), fingerprint: false })
    never(_key: string, _socket: Socket): void {}

    @Idempotent({ strategy: 'lock', key: arg(0) })
    locked(_key: string, _socket: Socket): void {}

    @Idempotent({ key: arg(0) })
    plain(_key: string, _date: Date, _signal: AbortSignal): void {}
  }

  it('names the methods whose declaration has a delivery', async () => {
    await start(Types);
    const named = logged.map((line) => /^Types\.(\w+): argument (\d)/.exec(line)?.slice(1).join());
    expect(named).toEqual(['socket,1', 'request,1', 'stream,1', 'sqs,0']);
  });

  it.each<[string, object, RegExp]>([
    ['another word', { content: 'Body' }, /content of Consumer\.handle.*arg\(0, 'Body'\)/s],
    ['an empty list', { content: [] }, /content of Consumer\.handle/],
    [
      'fingerprint beside it',
      { content: arg(0), fingerprint: false },
      /content of Consumer\.handle/,
    ],
    ['a lock', { content: arg(0), strategy: 'lock' }, /content of Consumer\.handle/],
  ])('refuses content with %s', async (_, options, message) => {
    const declaration = { key: KEY, ...options } as IdempotentDeclaration;
    await expect(consumerOf(declaration)).rejects.toThrow(message);
  });
});
