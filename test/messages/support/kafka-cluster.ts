import { Controller } from '@nestjs/common';
import { EventPattern, KafkaRetriableException, Payload, Transport } from '@nestjs/microservices';
import { header, Idempotent, type MemoryStore, messageId } from 'nestjs-idempotency';
import { Kafka, logLevel, Partitioners, type Producer } from 'kafkajs';
import { type KafkaServer, startKafka } from '../../support/servers/kafka.js';
import { type Consumer, startConsumer } from './consumer.js';

/** What the handlers did, one line each. Tests empty it. */
export const runs: string[] = [];

@Controller()
class Orders {
  @Idempotent({ key: messageId() })
  @EventPattern('orders')
  placed(@Payload() order: string): void {
    runs.push(order);
    if (order === 'again' && runs.filter((run) => run === order).length === 1)
      throw new KafkaRetriableException('not yet');
  }

  @Idempotent({ key: header('X-Order') })
  @EventPattern('by-header')
  byHeader(@Payload() order: string): void {
    runs.push(order);
  }
}

/** One cluster, with a consumer and a producer. */
export class KafkaCluster {
  private constructor(
    private readonly server: KafkaServer,
    private readonly consumer: Consumer,
    private readonly producer: Producer,
  ) {}

  static async start(store: MemoryStore): Promise<KafkaCluster> {
    const server = await startKafka();
    const client = { brokers: [server.broker], logLevel: logLevel.NOTHING };
    const options = {
      client,
      consumer: { groupId: 'shop', retry: { initialRetryTime: 50 } },
      subscribe: { fromBeginning: true },
    };
    const producer = new Kafka(client).producer({
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    for (const topic of ['orders', 'by-header']) await producer.send({ topic, messages: [] });
    const consumer = await startConsumer(
      { transport: Transport.KAFKA, options },
      { controllers: [Orders], idempotency: { store } },
    );
    return new KafkaCluster(server, consumer, producer);
  }

  async send(topic: string, value: string, headers: Record<string, string> = {}): Promise<void> {
    await this.producer.send({ topic, messages: [{ value, headers, partition: 0 }] });
  }

  async stop(): Promise<void> {
    await this.consumer.close();
    await this.producer.disconnect();
    await this.server.stop();
  }
}
