import { Controller } from '@nestjs/common';
import {
  type ClientProxy,
  EventPattern,
  MessagePattern,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { Redis } from 'ioredis';
import { Idempotent, payload } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { firstValueFrom } from 'rxjs';
import { tally } from '../support/engine.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { connectProducer, type Consumer, startConsumer } from './support/consumer.js';

const MESSAGES = 100;

let runs: string[];

@Controller()
class Payments {
  @Idempotent({ key: payload('id') })
  @EventPattern('paid')
  paid(@Payload() { id }: { id: number }): void {
    runs.push(`paid ${id}`);
  }

  @EventPattern('counted')
  counted(@Payload() { id }: { id: number }): void {
    runs.push(`counted ${id}`);
  }

  @Idempotent({ key: payload('id'), wait: '20s' })
  @MessagePattern('pay')
  pay(@Payload() { id }: { id: number }): object {
    return { id, at: runs.push(`pay ${id}`) };
  }
}

describe('messages over Redis to two instances, which both get each of them', () => {
  let server: PrivateServer;
  let client: Redis;
  let consumers: Consumer[] = [];
  let producer: ClientProxy;

  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port);
    const options = { host: '127.0.0.1', port: server.port };
    const transport = { transport: Transport.REDIS, options } as const;
    const idempotency = { store: new RedisStore({ client }) };
    const start = (): Promise<Consumer> =>
      startConsumer(transport, { controllers: [Payments], idempotency });
    consumers = await Promise.all([start(), start()]);
    producer = await connectProducer(transport);
  }, 180_000);

  afterAll(async () => {
    await producer?.close();
    for (const consumer of consumers) await consumer.close();
    client?.disconnect();
    await server?.stop();
  });

  beforeEach(() => {
    runs = [];
  });

  it('run each event on one of them', async () => {
    for (let id = 0; id < MESSAGES; id++) {
      producer.emit('paid', { id });
      producer.emit('counted', { id });
    }
    await eventually(() => runs.length >= 3 * MESSAGES);
    const counts = Object.entries(tally(runs));
    expect(counts.filter(([run, times]) => times !== (run.startsWith('paid') ? 1 : 2))).toEqual([]);
  });

  it('answer a request from the record', async () => {
    const first = await firstValueFrom(producer.send<unknown>('pay', { id: 1 }));
    expect(first).toEqual({ id: 1, at: 1 });
    expect(await firstValueFrom(producer.send<unknown>('pay', { id: 1 }))).toEqual(first);
    expect(runs).toEqual(['pay 1']);
  });
});
