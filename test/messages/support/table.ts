import { jest } from '@jest/globals';
import { Controller, Logger } from '@nestjs/common';
import {
  ClientProxyFactory,
  type ClientGrpcProxy,
  EventPattern,
  GrpcMethod,
  type GrpcOptions,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { Idempotent, payload } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { firstValueFrom, from, lastValueFrom, type Observable, toArray } from 'rxjs';
import { join } from 'node:path';
import { eventually } from '../../support/http.js';
import { mqttUrl, startMosquitto } from '../../support/servers/mosquitto.js';
import { natsUrl, startNats } from '../../support/servers/nats.js';
import { freePort, type PrivateServer } from '../../support/servers/private-server.js';
import { startRedis } from '../../support/servers/redis.js';
import { connectProducer, type Consumer, startConsumer } from './consumer.js';

interface Order {
  readonly id: string;
  readonly amount?: number;
}

let runs: string[];
let gate: Gate | undefined;

const KEY = { key: payload('id') } as const;

async function run(work: string, { id }: Order): Promise<object> {
  runs.push(`${work} ${id}`);
  await gate?.pass();
  if (work === 'hold') throw new Error('nobody knows');
  return { no: runs.length };
}

function stream({ id }: Order): Observable<object> {
  runs.push(`stream ${id}`);
  return from([{ no: 1 }, { no: 2 }, { no: 3 }]);
}

@Controller()
class Orders {
  @Idempotent(KEY)
  @MessagePattern('pay')
  pay(@Payload() order: Order): Promise<object> {
    return run('pay', order);
  }

  @Idempotent({ ...KEY, wait: '20s' })
  @MessagePattern('patient')
  patient(@Payload() order: Order): Promise<object> {
    return run('patient', order);
  }

  @Idempotent({ ...KEY, onError: 'hold' })
  @MessagePattern('hold')
  hold(@Payload() order: Order): Promise<object> {
    return run('hold', order);
  }

  @Idempotent(KEY)
  @MessagePattern('stream')
  stream(@Payload() order: Order): Observable<object> {
    return stream(order);
  }

  @Idempotent(KEY)
  @EventPattern('placed')
  async placed(@Payload() order: Order): Promise<void> {
    await run('placed', order);
  }
}

@Controller()
class GrpcOrders {
  @Idempotent(KEY)
  @GrpcMethod('Orders', 'Pay')
  pay(order: Order): Promise<object> {
    return run('pay', order);
  }

  @Idempotent({ ...KEY, wait: '20s' })
  @GrpcMethod('Orders', 'Patient')
  patient(order: Order): Promise<object> {
    return run('patient', order);
  }

  @Idempotent(KEY)
  @GrpcMethod('Orders', 'Stream')
  stream(order: Order): Observable<object> {
    return stream(order);
  }

  @Idempotent({ ...KEY, onError: 'hold' })
  @GrpcMethod('Orders', 'Hold')
  hold(order: Order): Promise<object> {
    return run('hold', order);
  }
}

/** A transport of Nest, and what stands behind it. */
interface Way {
  readonly transport: MicroserviceOptions;
  readonly server?: PrivateServer;
}

const proto: Omit<GrpcOptions['options'], 'url'> = {
  package: 'shop',
  protoPath: join(process.cwd(), 'test/messages/support/orders.proto'),
};

export const TABLE_WAYS = {
  TCP: async () => ({
    transport: { transport: Transport.TCP, options: { host: '127.0.0.1', port: await freePort() } },
  }),
  NATS: async () => {
    const server = await startNats();
    const options = { servers: [natsUrl(server.port)] };
    return { server, transport: { transport: Transport.NATS, options } };
  },
  Redis: async () => {
    const server = await startRedis();
    const options = { host: '127.0.0.1', port: server.port };
    return { server, transport: { transport: Transport.REDIS, options } };
  },
  MQTT: async () => {
    const server = await startMosquitto();
    const options = { url: mqttUrl(server.port) };
    return { server, transport: { transport: Transport.MQTT, options } };
  },
  gRPC: async () => {
    const options = { ...proto, url: `127.0.0.1:${await freePort()}` };
    return { transport: { transport: Transport.GRPC, options } };
  },
} as const satisfies Record<string, () => Promise<Way>>;

/** How a test talks to the handlers. */
interface Producer {
  ask(name: string, order: Order): Promise<unknown>;
  /** All that the handler emits. */
  askAll(name: string, order: Order): Promise<unknown[]>;
  /** Absent if the transport has no events. */
  readonly tell?: (order: Order) => Promise<unknown>;
  close(): unknown;
}

async function connect(transport: MicroserviceOptions): Promise<Producer> {
  if ((transport as GrpcOptions).transport === Transport.GRPC) {
    const client = ClientProxyFactory.create(
      transport as GrpcOptions,
    ) as unknown as ClientGrpcProxy;
    const orders =
      client.getService<Record<string, (order: Order) => Observable<unknown>>>('Orders');
    return {
      ask: (name, order) => firstValueFrom(orders[name]!(order)),
      askAll: (name, order) => lastValueFrom(orders[name]!(order).pipe(toArray())),
      close: () => client.close(),
    };
  }
  const client = await connectProducer(transport as never);
  return {
    ask: (name, order) => firstValueFrom(client.send<unknown>(name, order)),
    askAll: (name, order) => lastValueFrom(client.send<unknown>(name, order).pipe(toArray())),
    tell: (order) =>
      firstValueFrom(client.emit<unknown>('placed', order), { defaultValue: undefined }),
    close: () => client.close(),
  };
}

/** What every transport must do with messages. */
export function describeTable(name: keyof typeof TABLE_WAYS): void {
  describe(`messages over ${name}`, () => {
    let way: Way;
    let consumer: Consumer;
    let producer: Producer;
    let lines: string[];

    beforeAll(async () => {
      way = await TABLE_WAYS[name]();
      consumer = await startConsumer(way.transport, {
        controllers: [name === 'gRPC' ? GrpcOrders : Orders],
      });
      producer = await connect(way.transport);
    }, 60_000);
    afterAll(async () => {
      await producer?.close();
      await consumer?.close();
      await way?.server?.stop();
    });
    beforeEach(() => {
      [runs, lines, gate] = [[], [], undefined];
      for (const level of ['warn', 'error'] as const)
        jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
          lines.push(String(message));
        });
    });
    afterEach(() => jest.restoreAllMocks());

    const refused = async (asked: Promise<unknown>): Promise<string | undefined> => {
      const error = await asked.then(
        () => undefined,
        (thrown: object) => thrown,
      );
      return /IDEMPOTENCY_[A-Z_]+/.exec(JSON.stringify(error, Object.keys(error ?? {})))?.[0];
    };

    it('a request runs once, and its duplicate gets the reply', async () => {
      const order = { id: 'A-1', amount: 1 };
      expect(await producer.ask('pay', order)).toEqual({ no: 1 });
      expect(await producer.ask('pay', order)).toEqual({ no: 1 });
      expect(runs).toEqual(['pay A-1']);
    });

    it('a request with other content, and one that is running, are refused', async () => {
      gate = new Gate();
      const first = producer.ask('pay', { id: 'A-2', amount: 1 });
      await gate.reached(1);
      expect(await refused(producer.ask('pay', { id: 'A-2', amount: 2 }))).toBe(
        'IDEMPOTENCY_KEY_REUSED',
      );
      expect(await refused(producer.ask('pay', { id: 'A-2', amount: 1 }))).toBe(
        'IDEMPOTENCY_KEY_IN_USE',
      );
      gate.open();
      await first;
      expect(runs).toEqual(['pay A-2']);
    });

    it('concurrent duplicates wait for the first reply', async () => {
      gate = new Gate();
      // Nest's client of MQTT sends the others without waiting for its subscription.
      const first = producer.ask('patient', { id: 'A-3' });
      await gate.reached(1);
      const asked = [first, ...[2, 3].map(() => producer.ask('patient', { id: 'A-3' }))];
      gate.open();
      expect(await Promise.all(asked)).toEqual([{ no: 1 }, { no: 1 }, { no: 1 }]);
    });

    it('T77: a request gets all that was emitted, the first time and every other', async () => {
      const all = [{ no: 1 }, { no: 2 }, { no: 3 }];
      for (let time = 0; time < 2; time++)
        expect(await producer.askAll('stream', { id: 'A-7' })).toEqual(all);
      expect(runs).toEqual(['stream A-7']);
    });

    it('an operation that is held does not run again', async () => {
      await refused(producer.ask('hold', { id: 'A-4' }));
      expect(await refused(producer.ask('hold', { id: 'A-4' }))).toBe(
        'IDEMPOTENCY_OUTCOME_UNKNOWN',
      );
      expect(runs).toEqual(['hold A-4']);
    });

    if (name !== 'gRPC')
      it('an event runs once, and one that is refused leaves one line', async () => {
        const tell = producer.tell!;
        await tell({ id: 'A-5', amount: 1 });
        await eventually(() => runs.length > 0);
        await tell({ id: 'A-5', amount: 1 });
        await tell({ id: 'A-5', amount: 2 });
        await eventually(() => lines.length > 0);
        await tell({ id: 'A-6' });
        await eventually(() => runs.length > 1);
        expect(runs).toEqual(['placed A-5', 'placed A-6']);
        expect(lines).toEqual([
          expect.stringMatching(/^IDEMPOTENCY_KEY_REUSED on placed .*dropped/),
        ]);
      });
  });
}
