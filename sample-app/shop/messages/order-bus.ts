import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type ClientProvider, type MicroserviceOptions, Transport } from '@nestjs/microservices';
import type { ShopConfig } from '../setup/config.js';

/** Both ends of the transport for messages about orders. */
export interface OrderBus {
  readonly consumer: MicroserviceOptions;
  readonly producer: ClientProvider;
}

const QUEUE = 'order-events';

/**
 * RabbitMQ, if there is one: it keeps messages until they are acknowledged. Otherwise Nest's TCP
 * transport, from this process to itself, with nothing to install.
 */
export async function orderBus({ rabbitmqUrl }: ShopConfig): Promise<OrderBus> {
  if (rabbitmqUrl === undefined) {
    const options = { host: '127.0.0.1', port: await freePort() };
    const tcp = { transport: Transport.TCP, options } as const;
    return { consumer: tcp, producer: tcp };
  }
  const options = { urls: [rabbitmqUrl], queue: QUEUE, queueOptions: { durable: true } };
  return {
    consumer: {
      transport: Transport.RMQ,
      options: { ...options, noAck: false, prefetchCount: 10 },
    },
    producer: { transport: Transport.RMQ, options: { ...options, persistent: true } },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
