import { type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { type ChannelModel, type ConfirmChannel, connect, type Options } from 'amqplib';
import { eventually } from '../../support/http.js';
import { sharedRabbitmq, type SharedServer } from '../../support/servers/shared.js';

/** A virtual host of the shared RabbitMQ, and the connection that a test itself sees it with. */
export class Rabbit {
  private lastQueue = 0;

  private constructor(
    private readonly server: SharedServer,
    private readonly connection: ChannelModel,
    private readonly channel: ConfirmChannel,
  ) {}

  static async start(): Promise<Rabbit> {
    const server = await sharedRabbitmq();
    const connection = await connect(server.url);
    return new Rabbit(server, connection, await connection.createConfirmChannel());
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  /** An empty queue, with one for what it rejects. */
  async queue(): Promise<Queue> {
    const queue = new Queue(`queue-${(this.lastQueue += 1)}`, this.channel, this.url);
    await queue.assert();
    return queue;
  }

  async stop(): Promise<void> {
    await this.connection.close();
    await this.server.stop();
  }
}

/** What a producer says of a message beside its content. */
type Properties = Pick<Options.Publish, 'messageId' | 'headers' | 'replyTo'>;

/** What differs from one message at a time, acknowledged by hand. */
interface TransportSettings {
  /** Of a proxy. */
  readonly port?: number;
  readonly prefetchCount?: number;
  readonly noAck?: boolean;
}

/** The settings that all sides give a queue: what it rejects lands in another one. */
export function queueSettings(name: string): Options.AssertQueue {
  return { durable: true, deadLetterExchange: '', deadLetterRoutingKey: `${name}.dead` };
}

export class Queue {
  constructor(
    readonly name: string,
    private readonly channel: ConfirmChannel,
    private readonly url: string,
  ) {}

  async assert(): Promise<void> {
    await this.channel.assertQueue(`${this.name}.dead`, { durable: true });
    await this.channel.assertQueue(this.name, queueSettings(this.name));
  }

  transport({ port, ...more }: TransportSettings = {}) {
    const url = new URL(this.url);
    if (port !== undefined) url.port = String(port);
    return {
      transport: Transport.RMQ,
      options: {
        urls: [url.href],
        queue: this.name,
        queueOptions: queueSettings(this.name),
        noAck: false,
        prefetchCount: 1,
        socketOptions: { reconnectTimeInSeconds: 1 },
        ...more,
      },
    } satisfies MicroserviceOptions;
  }

  /** For a client that sends requests to it. */
  producer() {
    return this.transport({ noAck: true });
  }

  /** Resolves once the broker has the message. */
  async publish(pattern: unknown, data: unknown, properties?: Properties): Promise<void> {
    await this.publishAll(pattern, [[data, properties]]);
  }

  async publishAll(
    pattern: unknown,
    messages: readonly (readonly [data: unknown, properties?: Properties])[],
  ): Promise<void> {
    for (const [data, properties] of messages) {
      const content = Buffer.from(JSON.stringify({ pattern, data }));
      this.channel.sendToQueue(this.name, content, { persistent: true, ...properties });
    }
    await this.channel.waitForConfirms();
  }

  /** How many messages are neither settled nor on their way, once all consumers are gone. */
  async left(): Promise<number> {
    // Of a consumer that is gone the queue takes back what was not settled, all in one step.
    await eventually(async () => (await this.state()).consumerCount === 0);
    return (await this.state()).messageCount;
  }

  state(): Promise<{ readonly messageCount: number; readonly consumerCount: number }> {
    return this.channel.checkQueue(this.name);
  }

  /** Takes what was rejected: the data of the messages. */
  async rejected(): Promise<unknown[]> {
    const all: unknown[] = [];
    for (;;) {
      const message = await this.channel.get(`${this.name}.dead`, { noAck: true });
      if (message === false) return all;
      all.push((JSON.parse(message.content.toString()) as { data: unknown }).data);
    }
  }
}
