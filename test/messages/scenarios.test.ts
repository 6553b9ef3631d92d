import { Controller, type Type } from '@nestjs/common';
import {
  type ClientProvider,
  EventPattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { Redis } from 'ioredis';
import { Idempotent, type IdempotencyEvent, payload } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { Gate } from 'nestjs-idempotency/testing';
import { currentManager, IdempotencyRecord, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { filter, firstValueFrom } from 'rxjs';
import { Column, type DataSource, Entity, PrimaryColumn } from 'typeorm';
import { eventually } from '../support/http.js';
import { natsUrl, startNats } from '../support/servers/nats.js';
import { freePort, type PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { connectProducer, type Consumer, startConsumer } from './support/consumer.js';
import { type Queue, Rabbit } from './support/rabbitmq.js';

const [CREATED, PAID] = [1, 2];
const RECORDS = ['PostgreSQL', 'Redis'] as const;
const TRANSPORTS = ['RabbitMQ', 'NATS', 'Redis', 'TCP'] as const;

@Entity('orders')
class Order {
  @PrimaryColumn('integer') id!: number;
  @Column('integer', { default: 0 }) status!: number;
  @Column('integer', { default: 0 }) version!: number;
  @Column('varchar', { length: 50, default: '' }) name!: string;
}

/** What has happened, one line each. */
let happened: string[] = [];
let gate: Gate | undefined;
let dataSource: DataSource;

class Last {
  @EventPattern<string>('last')
  last(): void {
    happened.push('last');
  }
}

@Controller()
class OrderEvents extends Last {
  @OrderBecomes(CREATED)
  @EventPattern<string>('created')
  created(@Payload() { orderId }: { orderId: number }): void {
    happened.push(`created ${orderId}`);
  }

  @OrderBecomes(PAID)
  @EventPattern<string>('paid')
  paid(@Payload() { orderId }: { orderId: number }): void {
    happened.push(`paid ${orderId}`);
  }

  @Idempotent({
    strategy: 'version',
    entity: Order,
    id: payload('orderId'),
    version: payload('version'),
    column: 'version',
    mode: 'newer',
    acknowledge: true,
  })
  @EventPattern<string>('renamed')
  async renamed(@Payload() { orderId, name }: { orderId: number; name: string }): Promise<void> {
    happened.push(name);
    await currentManager(dataSource).update(Order, { id: orderId }, { name });
  }
}

@Controller()
class Texts extends Last {
  @Idempotent({ key: payload('messageId'), acknowledge: true, retryAfter: 50 })
  @EventPattern('text')
  async text(@Payload() { messageId }: { messageId: string }): Promise<void> {
    happened.push(`sent ${messageId}`);
    await gate?.pass();
  }
}

let rabbit: Rabbit;
let database: SqlDatabase;
let redis: PrivateServer;
let nats: PrivateServer;
let client: Redis;
let opened: { close(): unknown }[] = [];

beforeAll(async () => {
  [rabbit, database, redis, nats] = await Promise.all([
    Rabbit.start(),
    POSTGRES.start(),
    startRedis(),
    startNats(),
  ]);
  const entities = [IdempotencyRecord, Order];
  dataSource = await database.connect({ entities, synchronize: true });
  await dataSource.runMigrations();
  client = new Redis(redis.port);
}, 180_000);

afterAll(async () => {
  client?.disconnect();
  await Promise.all([rabbit?.stop(), database?.stop(), redis?.stop(), nats?.stop()]);
});

beforeEach(() => {
  [happened, gate, opened] = [[], undefined, []];
});
afterEach(closeAll);

async function closeAll(): Promise<void> {
  for (const each of opened.splice(0).reverse()) await each.close();
}

const storeIn = (records: (typeof RECORDS)[number]): IdempotencyStore =>
  records === 'Redis' ? new RedisStore({ client }) : new TypeOrmStore({ dataSource, purge: false });

async function consume(
  transport: MicroserviceOptions,
  controller: Type,
  store: IdempotencyStore,
): Promise<Consumer> {
  const consumer = await startConsumer(transport, {
    controllers: [controller],
    idempotency: { store },
  });
  opened.push(consumer);
  return consumer;
}

/** The next event of this type. */
function next(type: IdempotencyEvent['type'], { idempotency }: Consumer) {
  return firstValueFrom(idempotency.events$.pipe(filter((event) => event.type === type)));
}

/** One message at a time: those before it were settled. */
async function allIsSettled(queue: Queue): Promise<void> {
  await queue.publish('last', null);
  await eventually(() => happened.includes('last'));
}

/** On which two consumers get messages, and who sends them. */
interface Ways {
  readonly transports: readonly MicroserviceOptions[];
  readonly producers: readonly ClientProvider[];
  /** Consumers that get a copy of a message. */
  readonly copies: number;
}

const ways: Record<(typeof TRANSPORTS)[number], () => Promise<Ways> | Ways> = {
  RabbitMQ: async () => {
    const queue = await rabbit.queue();
    const transport = queue.transport();
    return { transports: [transport, transport], producers: [queue.producer()], copies: 1 };
  },
  NATS: () => {
    const options = { servers: [natsUrl(nats.port)] };
    const transport = { transport: Transport.NATS, options } as const;
    return { transports: [transport, transport], producers: [transport], copies: 2 };
  },
  Redis: () => {
    const options = { host: '127.0.0.1', port: redis.port };
    const transport = { transport: Transport.REDIS, options } as const;
    return { transports: [transport, transport], producers: [transport], copies: 2 };
  },
  TCP: async () => {
    const at = async () => ({ host: '127.0.0.1', port: await freePort() });
    const transports = [await at(), await at()].map(
      (options) => ({ transport: Transport.TCP, options }) as const,
    );
    return { transports, producers: transports, copies: 1 };
  },
};

describe('S4: messages in the wrong order', () => {
  let queue: Queue;

  beforeEach(async () => {
    queue = await rabbit.queue();
    await consume(queue.transport(), OrderEvents, storeIn('PostgreSQL'));
  });

  it('leave the order paid; late and repeated ones are skipped and acknowledged', async () => {
    const order = { orderId: 1 };
    await dataSource.getRepository(Order).insert({ id: 1 });
    for (const event of ['paid', 'created', 'paid', 'created']) await queue.publish(event, order);
    await allIsSettled(queue);

    expect(happened).toEqual(['paid 1', 'last']);
    expect(await dataSource.manager.findOneByOrFail(Order, { id: 1 })).toMatchObject({
      status: PAID,
    });
    expect(await queue.rejected()).toEqual([]);
  });

  it('leave the newest version; older and repeated ones are skipped and acknowledged', async () => {
    await dataSource.getRepository(Order).insert({ id: 2 });
    for (const version of [2, 1, 2, 4, 3, 4])
      await queue.publish('renamed', { orderId: 2, version, name: `name ${version}` });
    await allIsSettled(queue);

    expect(happened).toEqual(['name 2', 'name 4', 'last']);
    expect(await dataSource.manager.findOneByOrFail(Order, { id: 2 })).toMatchObject({
      name: 'name 4',
      version: 4,
    });
    expect(await queue.rejected()).toEqual([]);
  });
});

describe.each(RECORDS)('with records in %s', (records) => {
  it('S5: a slow consumer loses its connection, a second one gets the message: one text is sent', async () => {
    const queue = await rabbit.queue();
    const proxy = await TcpProxy.start(rabbit.port);
    gate = new Gate();
    await consume(queue.transport({ port: proxy.port }), Texts, storeIn(records));
    const messageId = `slow ${records}`;
    await queue.publish('text', { messageId });
    await gate.reached(1);

    const second = await consume(queue.transport(), Texts, storeIn(records));
    const refused = next('rejected', second);
    await proxy.stop();
    expect(await refused).toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' });
    const replayed = next('replayed', second);
    gate.open();
    await replayed;

    await allIsSettled(queue);
    expect(happened).toEqual([`sent ${messageId}`, 'last']);
    expect(await queue.rejected()).toEqual([]);
  });

  it.each(TRANSPORTS)(
    'S16: a message delivered to two consumers over %s is worked on once',
    async (name) => {
      const { transports, producers, copies } = await ways[name]();
      let seen = 0;
      for (const transport of transports) {
        const { idempotency } = await consume(transport, Texts, storeIn(records));
        idempotency.events$.subscribe(({ type }) => {
          if (type === 'claimed' || type === 'replayed' || type === 'rejected') seen += 1;
        });
      }
      const senders = await Promise.all(producers.map((each) => connectProducer(each)));
      opened.push(...senders);
      const messageIds = Array.from({ length: 20 }, (_, index) => `${records} ${name} ${index}`);
      for (const messageId of messageIds)
        for (let time = 0; time < 2; time++)
          for (const sender of senders) sender.emit('text', { messageId });
      const deliveries = messageIds.length * 2 * senders.length * copies;
      await eventually(() => happened.length >= messageIds.length && seen >= deliveries);
      await closeAll();
      expect(happened.sort()).toEqual(messageIds.map((id) => `sent ${id}`).sort());
    },
  );
});

/** The ascending rule: `status < to`. */
function OrderBecomes(to: number): MethodDecorator {
  const options = { entity: Order, id: payload('orderId'), column: 'status', to };
  return Idempotent({ strategy: 'state', acknowledge: true, ...options });
}
