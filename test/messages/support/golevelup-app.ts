import {
  MessageHandlerErrorBehavior,
  Nack,
  RabbitHeader,
  RabbitMQModule,
  RabbitPayload,
  RabbitRPC,
  RabbitSubscribe,
} from '@golevelup/nestjs-rabbitmq';
import { Controller, type INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { ConsumeMessage } from 'amqplib';
import {
  header,
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  messageId,
  Operation,
  payload,
} from 'nestjs-idempotency';
import { type FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';

type Deed = 'nack' | 'requeue' | 'requeue always' | 'fail' | 'wait' | 'reply bytes';

export interface Order {
  readonly id: string;
  readonly does?: Deed;
}

export const QUEUES = [
  'placed',
  'asked',
  'any',
  'limited',
  'inner',
  'controlled',
  'custom',
  'named',
] as const;
export type QueueName = (typeof QUEUES)[number];

export const EXCHANGE = 'shop';
const RETRY_AFTER_MS = 20;
export const on = (queue: QueueName, routingKey: string | string[] = queue) => ({
  exchange: EXCHANGE,
  routingKey,
  queue,
  queueOptions: { deadLetterExchange: '', deadLetterRoutingKey: `${queue}.dead` },
});

/** What the handlers did, one line each, and what they wait for. Tests begin with their own. */
export const world: { runs: string[]; gate: Gate } = { runs: [], gate: new Gate() };

function ran(name: string): number {
  world.runs.push(name);
  return world.runs.filter((run) => run === name).length;
}

async function deed(time: number, does: Deed | undefined): Promise<Nack | undefined> {
  if (does === 'wait' && time === 1) await world.gate.pass();
  if (does === 'fail') throw new Error(`failed ${time}`);
  if (does === 'nack' && time === 1) return new Nack(false);
  if (does === 'requeue always' || (does === 'requeue' && time === 1)) return new Nack(true);
  return undefined;
}

@Injectable()
export class Work {
  @Idempotent({ key: payloadOf })
  async done({ id, does }: Order): Promise<Nack | undefined> {
    return deed(ran(`inner ${id}`), does);
  }
}

function payloadOf({ args }: { readonly args?: readonly unknown[] }): string {
  return (args![0] as Order).id;
}

@Injectable()
export class Consumer {
  constructor(private readonly work: Work) {}

  /** Gets what the package passes: the payload, the raw message, the headers. */
  @Idempotent({ key: messageId(), retryAfter: RETRY_AFTER_MS })
  @RabbitSubscribe(on('placed'))
  async placed({ id, does }: Order, raw: ConsumeMessage): Promise<Nack | undefined> {
    const isRaw = raw.fields.deliveryTag > 0;
    return deed(ran(`${isRaw ? 'placed' : 'no raw message for'} ${id}`), does);
  }

  @RabbitRPC(on('asked'))
  @Idempotent({ key: header('X-Intent'), retryAfter: RETRY_AFTER_MS })
  async asked(
    @RabbitPayload() { id, does }: Order,
    @RabbitHeader('X-Intent') intent: string,
    @Operation() operation: IdempotentOperation,
  ): Promise<unknown> {
    const isOwn = operation.key === intent;
    const nack = await deed(ran(`${isOwn ? 'asked' : 'no operation for'} ${id}`), does);
    if (does === 'reply bytes') return Buffer.from([1, 2, 3]);
    return nack ?? { asked: id, times: world.runs.length };
  }

  @Idempotent({ key: payload('id') })
  @RabbitSubscribe(on('any', ['any.*', 'other']))
  any({ id }: Order, { fields }: ConsumeMessage): void {
    ran(`${fields.routingKey} ${id}`);
  }

  @Idempotent({
    key: payload('id'),
    maxAttempts: { times: 2, afterwards: 'reject' },
  })
  @RabbitSubscribe({ ...on('limited'), errorBehavior: MessageHandlerErrorBehavior.REQUEUE })
  async limited({ id, does }: Order): Promise<Nack | undefined> {
    return deed(ran(`limited ${id}`), does);
  }

  @RabbitSubscribe(on('inner'))
  async inner(order: Order): Promise<Nack | undefined> {
    return this.work.done(order);
  }
}

@Controller()
@Idempotent({ key: payload('id') })
export class Controlled {
  @RabbitSubscribe(on('controlled'))
  controlled({ id }: Order): void {
    ran(`controlled ${id}`);
  }
}

@Injectable()
class Custom {
  @Idempotent({ key: payload('id') })
  @RabbitSubscribe(on('custom'))
  custom({ id }: Order): void {
    ran(`custom ${id}`);
  }

  /** The module configures other routing keys. */
  @Idempotent({ key: payload('id') })
  @RabbitSubscribe({ ...on('named'), name: 'named' })
  named({ id }: Order, { fields }: ConsumeMessage): void {
    ran(`${fields.routingKey} ${id}`);
  }
}

/** Nothing in the module has the decorator but what the factory makes. */
@Module({ providers: [{ provide: 'custom', useFactory: () => new Custom() }] })
class Made {}

/** Properties of a message. */
export interface Properties {
  readonly messageId?: string;
  readonly headers?: Record<string, unknown>;
}

export async function appWith(
  uri: string,
  store: FaultInjectingStore,
  classes: { readonly providers?: never[]; readonly controllers?: never[] },
): Promise<INestApplicationContext> {
  @Module({
    imports: [
      IdempotencyModule.forRoot({ store }),
      Made,
      RabbitMQModule.forRoot({
        uri,
        exchanges: [{ name: EXCHANGE, type: 'topic' }],
        connectionInitOptions: { timeout: 30_000 },
        enableControllerDiscovery: true,
        handlers: { named: on('named', ['named.one', 'named.two']) },
      }),
    ],
    ...classes,
  })
  class App {}
  return (await NestFactory.create(App, { logger: false, abortOnError: false })).init();
}
