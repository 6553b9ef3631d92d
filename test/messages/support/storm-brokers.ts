import { ClientNats, NatsRecordBuilder } from '@nestjs/microservices';
import { headers } from '@nats-io/transport-node';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { Queue as JobQueue } from 'bullmq';
import { Redis } from 'ioredis';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { firstValueFrom, timeout } from 'rxjs';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../support/http.js';
import { startKafka } from '../../support/servers/kafka.js';
import { natsUrl, startNats } from '../../support/servers/nats.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { rabbitmqUrl, startRabbitmq } from '../../support/servers/rabbitmq.js';
import { startRedis } from '../../support/servers/redis.js';
import { queueSettings } from './rabbitmq.js';
import type { StormMessage, StormPlan } from './storm-plan.js';

/** What a storm does with a broker, and asks of it afterwards. */
export interface StormBroker {
  readonly url: string;
  /** Hands all over. Resolves once the broker has them, or once each has been answered. */
  publish(plan: StormPlan): Promise<void>;
  /** Kills it and starts it again; absent where that would lose what it was given. */
  readonly restart?: () => Promise<void>;
  /** How many messages are neither settled nor out of the way, once all consumers are gone. */
  left(): Promise<number>;
  /** The messages that it has put out of the way; absent where there is no such place. */
  readonly rejected?: () => Promise<StormMessage[]>;
  /** How many lines about messages that are dropped the consumers must leave. */
  lines(plan: StormPlan): number;
  stop(): Promise<unknown>;
}

export interface BrokerKind {
  readonly name: string;
  readonly program: string;
  /** How a consumer may end when its broker is restarted; whoever runs it then starts it again. */
  readonly ends?: RegExp;
  start(queue: string): Promise<StormBroker>;
}

const poisonIn = (messages: readonly StormMessage[]): number =>
  messages.filter(({ isPoison }) => isPoison).length;

/** @param contentOf what a producer for these consumers puts into a message */
function rabbitmq(
  name: string,
  program: string,
  contentOf: (message: StormMessage) => unknown,
): BrokerKind {
  return {
    name,
    program,
    async start(queue) {
      const server = await startRabbitmq();
      let connection: ChannelModel;
      let channel: ConfirmChannel;
      const open = async (): Promise<void> => {
        connection = await connect(rabbitmqUrl(server.port));
        // It goes with the broker.
        connection.on('error', () => undefined);
        channel = await connection.createConfirmChannel();
        channel.on('error', () => undefined);
      };
      await open();
      await channel!.assertQueue(`${queue}.dead`, { durable: true });
      await channel!.assertQueue(queue, queueSettings(queue));
      return {
        url: rabbitmqUrl(server.port),
        async publish({ deliveries }) {
          for (const message of deliveries)
            channel.sendToQueue(queue, Buffer.from(JSON.stringify(contentOf(message))), {
              persistent: true,
              messageId: message.id,
              contentType: 'application/json',
            });
          await channel.waitForConfirms();
        },
        async restart() {
          await server.restart();
          await open();
        },
        async left() {
          // Of a consumer that is gone the queue takes back what was not settled, all in one step.
          await eventually(async () => (await channel.checkQueue(queue)).consumerCount === 0);
          return (await channel.checkQueue(queue)).messageCount;
        },
        async rejected() {
          const all: StormMessage[] = [];
          for (;;) {
            const message = await channel.get(`${queue}.dead`, { noAck: true });
            if (message === false) return all;
            const content = JSON.parse(message.content.toString()) as StormMessage & {
              readonly data?: StormMessage;
            };
            all.push(content.data ?? content);
          }
        },
        lines: ({ deliveries }) => poisonIn(deliveries),
        async stop() {
          await connection.close();
          await server.stop();
        },
      };
    },
  };
}

const BULLMQ: BrokerKind = {
  name: 'BullMQ',
  program: 'storm-bullmq',
  async start(queue) {
    const server = await startRedis('--appendonly', 'yes');
    const connection = new Redis(server.port, { maxRetriesPerRequest: null });
    connection.on('error', () => undefined);
    const jobs = new JobQueue<StormMessage>(queue, { connection });
    jobs.on('error', () => undefined);
    return {
      url: `redis://127.0.0.1:${server.port}`,
      async publish({ deliveries }) {
        const opts = { attempts: 100, backoff: 20 };
        await jobs.addBulk(deliveries.map((data) => ({ name: 'book', data, opts })));
      },
      restart: () => server.restart(),
      async left() {
        const counts = await jobs.getJobCounts('wait', 'active', 'delayed', 'prioritized');
        return Object.values(counts).reduce((sum, count) => sum + count);
      },
      rejected: async () => (await jobs.getFailed()).map(({ data }) => data),
      // A job of a duplicate that is refused is among the failed ones, with the reason.
      lines: ({ messages }) => poisonIn(messages),
      async stop() {
        await jobs.close();
        connection.disconnect();
        await server.stop();
      },
    };
  },
};

const KAFKA: BrokerKind = {
  name: 'the protocol of Kafka',
  program: 'storm-kafka',
  async start(queue) {
    const server = await startKafka();
    const kafka = new Kafka({ brokers: [server.broker], logLevel: logLevel.NOTHING });
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    const admin = kafka.admin();
    await Promise.all([producer.connect(), admin.connect()]);
    // Makes the topic.
    await producer.send({ topic: 'book', messages: [] });
    return {
      url: server.broker,
      async publish({ deliveries }) {
        const messages = deliveries.map((message) => ({
          key: message.id,
          value: JSON.stringify(message),
          headers: { 'Message-Id': message.id },
        }));
        await producer.send({ topic: 'book', messages });
      },
      async left() {
        const ends = await admin.fetchTopicOffsets('book');
        const [group] = await admin.fetchOffsets({ groupId: `${queue}-server`, topics: ['book'] });
        return ends.reduce((sum, { partition, high }) => {
          const at = group!.partitions.find((one) => one.partition === partition)!;
          return sum + Number(high) - Math.max(0, Number(at.offset));
        }, 0);
      },
      lines: ({ deliveries }) => poisonIn(deliveries),
      async stop() {
        await Promise.all([producer.disconnect(), admin.disconnect()]);
        await server.stop();
      },
    };
  },
};

/** How long a requester of NATS waits before it asks again: the message or its reply may be lost. */
const PATIENCE_MS = 2_000;
const ASKING = 12;

const NATS: BrokerKind = {
  name: 'NATS, whose requesters ask again',
  program: 'storm-nats',
  async start() {
    const server: PrivateServer = await startNats();
    const url = natsUrl(server.port);
    const client = new ClientNats({
      servers: [url],
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    await client.connect();
    let unanswered = 0;

    /** Until there is a reply, or a refusal that does not pass. */
    async function ask(message: StormMessage): Promise<void> {
      const own = headers();
      own.set('Nats-Msg-Id', message.id);
      const record = new NatsRecordBuilder(message).setHeaders(own).build();
      for (;;) {
        try {
          const reply = client.send<string>('book', record).pipe(timeout(PATIENCE_MS));
          if ((await firstValueFrom(reply)) !== message.id) throw new Error('another reply');
          return;
        } catch (error) {
          const { code, retryable } = (error ?? {}) as { code?: string; retryable?: boolean };
          if (code === 'IDEMPOTENCY_OUTCOME_UNKNOWN' && retryable === false) return;
          await sleep(20);
        }
      }
    }

    return {
      url,
      async publish({ deliveries }) {
        const waiting = [...deliveries];
        unanswered = waiting.length;
        await Promise.all(
          Array.from({ length: ASKING }, async () => {
            for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
              await ask(next);
              unanswered -= 1;
            }
          }),
        );
      },
      restart: () => server.restart(),
      left: () => Promise.resolve(unanswered),
      // Whoever asks is told, so nothing is dropped.
      lines: () => 0,
      async stop() {
        await client.close();
        await server.stop();
      },
    };
  },
};

export const STORM_BROKERS = {
  'RabbitMQ (Nest)': rabbitmq('RabbitMQ, with the transport of Nest', 'storm-rabbitmq', (data) => ({
    pattern: 'book',
    data,
  })),
  'RabbitMQ (golevelup)': {
    ...rabbitmq(
      'RabbitMQ, with @golevelup/nestjs-rabbitmq',
      'storm-golevelup',
      (message) => message,
    ),
    // The package settles a message after its channel was lost, in a promise that nobody handles.
    ends: /IllegalOperationError: Channel closed/,
  } as BrokerKind,
  BullMQ: BULLMQ,
  Kafka: KAFKA,
  NATS,
} as const;
