import { Controller } from '@nestjs/common';
import {
  type ClientProxy,
  EventPattern,
  MessagePattern,
  NatsRecordBuilder,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { headers } from '@nats-io/transport-node';
import { header, Idempotent, MemoryStore, messageId } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { firstValueFrom } from 'rxjs';
import { tally } from '../support/engine.js';
import { eventually } from '../support/http.js';
import { natsUrl, startNats } from '../support/servers/nats.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import {
  connectProducer,
  type Consumer,
  startConsumer,
  type Way,
  WAYS,
} from './support/consumer.js';

const CONSUMERS = 3;
const MESSAGES = 200;

let runs: string[];
let takenBy: Set<unknown>;
let gate: Gate | undefined;

@Controller()
class Payments {
  @Idempotent({ key: messageId(), wait: '20s' })
  @EventPattern('paid')
  async paid(@Payload() id: string): Promise<void> {
    runs.push(`paid ${id}`);
    takenBy.add(this);
    await gate?.pass();
  }

  @EventPattern('counted')
  counted(@Payload() id: string): void {
    runs.push(`counted ${id}`);
  }

  @Idempotent({ key: messageId() })
  @MessagePattern('pay')
  pay(@Payload() amount: number): object {
    runs.push(`pay ${amount}`);
    return { paid: amount, no: runs.length };
  }

  @Idempotent({ key: header('X-Order') })
  @MessagePattern({ order: 'pay' })
  payOrder(@Payload() amount: number): number {
    return runs.push(`order ${amount}`);
  }
}

describe.each(WAYS)('a queue group of NATS with 3 consumers that are %s', (way: Way) => {
  let server: PrivateServer;
  let consumers: Consumer[] = [];
  let producer: ClientProxy;

  beforeAll(async () => {
    server = await startNats();
    const servers = [natsUrl(server.port)];
    const store = new MemoryStore();
    const transport = { transport: Transport.NATS, options: { servers, queue: 'shop' } } as const;
    const options = { controllers: [Payments], idempotency: { store }, way };
    consumers = await Promise.all(
      Array.from({ length: CONSUMERS }, () => startConsumer(transport, options)),
    );
    producer = await connectProducer({ transport: Transport.NATS, options: { servers } });
  }, 180_000);

  afterAll(async () => {
    await producer?.close();
    for (const consumer of consumers) await consumer.close();
    await server?.stop();
  });

  beforeEach(() => {
    [runs, takenBy, gate] = [[], new Set(), undefined];
  });

  function message(data: unknown, name: string, value: string) {
    const all = headers();
    all.set(name, value);
    return new NatsRecordBuilder(data).setHeaders(all).build();
  }

  const ask = (pattern: unknown, data: unknown, name: string, value: string) =>
    firstValueFrom(producer.send<unknown>(pattern, message(data, name, value)));

  it('runs each event once, however often it is sent under its Nats-Msg-Id', async () => {
    const ids = Array.from({ length: MESSAGES }, (_, index) => `${way} ${index}`);
    const deliveries = ids.flatMap((id, index) =>
      Array.from({ length: 1 + (index % 3) }, () => id),
    );
    for (const id of deliveries) {
      producer.emit('counted', id);
      producer.emit('paid', message(id, 'Nats-Msg-Id', id));
    }
    const all = MESSAGES + deliveries.length;
    await eventually(() => runs.length >= all);
    const counts = tally(runs.filter((run) => run.startsWith('paid')));
    expect(counts).toEqual(Object.fromEntries(ids.map((id) => [`paid ${id}`, 1])));
    expect(takenBy.size).toBe(CONSUMERS);
  });

  it('answers a request from the record, whoever of them gets it', async () => {
    const first = await ask('pay', 7, 'Nats-Msg-Id', `${way} request`);
    expect(first).toEqual({ paid: 7, no: 1 });
    for (let time = 0; time < 2 * CONSUMERS; time++)
      expect(await ask('pay', 7, 'nats-msg-id', `${way} request`)).toEqual(first);
    expect(runs).toEqual(['pay 7']);
  });

  it('finds the key in a header of its own', async () => {
    expect(await ask({ order: 'pay' }, 7, 'X-Order', 'A-1')).toBe(1);
    expect(await ask({ order: 'pay' }, 7, 'X-Order', 'A-1')).toBe(1);
    await expect(ask({ order: 'pay' }, 8, 'X-Order', 'A-1')).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
  });

  it('refuses a request that has no id', async () => {
    await expect(firstValueFrom(producer.send('pay', 7))).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REQUIRED',
      status: 400,
    });
    expect(runs).toEqual([]);
  });
});
