import { Controller, Injectable, type ModuleMetadata, type Type } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { EventPattern, KafkaContext, Payload } from '@nestjs/microservices';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { arg, Idempotent, IdempotencyService, payload } from 'nestjs-idempotency';
import { HandedServer } from '../messages/support/handed-server.js';
import { connectClient, use } from '../sockets/support/clients.js';
import { boot, bootError, eventually, type TestApp } from '../support/http.js';

interface Order {
  readonly id: string;
}

let runs: string[];
beforeEach(() => {
  runs = [];
});

abstract class Gateway {
  @Idempotent({ key: payload('id') })
  @SubscribeMessage('pay')
  pay(@MessageBody() { id }: Order): object {
    runs.push(`${this.constructor.name} ${id}`);
    return { event: 'paid', data: this.constructor.name };
  }
}

@WebSocketGateway({ path: '/one' })
class OneGateway extends Gateway {}

@WebSocketGateway({ path: '/two' })
class TwoGateway extends Gateway {}

abstract class Consumer {
  @Idempotent({ key: payload('id') })
  @EventPattern<string>('placed')
  placed(@Payload() { id }: Order): void {
    runs.push(`${this.constructor.name} ${id}`);
  }
}

@Controller()
class OneConsumer extends Consumer {}

@Controller()
class TwoConsumer extends Consumer {}

abstract class Listener {
  @OnEvent('paid')
  @Idempotent({ key: arg(0, 'id') })
  async paid({ id }: Order): Promise<void> {
    await Promise.resolve();
    runs.push(`${this.constructor.name} ${id}`);
  }
}

@Injectable()
class OneListener extends Listener {}

@Injectable()
class TwoListener extends Listener {}

const server = new HandedServer();

async function start(options: ModuleMetadata): Promise<TestApp> {
  return boot('express', {
    controllers: [],
    ...(options as object),
    imports: [EventEmitterModule.forRoot()],
    configure: async (app) => {
      use('ws', app);
      app.connectMicroservice({ strategy: server });
      await app.startAllMicroservices();
    },
  });
}

describe('a handler that two classes inherit', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await start({
      controllers: [OneConsumer, TwoConsumer],
      providers: [OneGateway, TwoGateway, OneListener, TwoListener],
    });
  });
  afterAll(() => app?.close());

  it('is protected in both, and each has records of its own: events of sockets', async () => {
    for (const path of ['/one', '/two']) {
      const client = await connectClient('ws', app.port, undefined, path);
      const answers: unknown[] = [];
      for (let time = 0; time < 2; time++) {
        client.send('pay', { id: 'A' });
        answers.push((await client.take())[1]);
      }
      client.close();
      expect(new Set(answers).size).toBe(1);
    }
    expect(runs).toEqual(['OneGateway A', 'TwoGateway A']);
  });

  it('is protected in both, and each has records of its own: messages', async () => {
    const context = new KafkaContext([
      { offset: '1', headers: {} } as never,
      0,
      'placed',
      null!,
      null!,
      null!,
    ]);
    for (let time = 0; time < 2; time++) await server.hand('placed', { id: 'B' }, context);
    expect([...runs].sort()).toEqual(['OneConsumer B', 'TwoConsumer B']);
  });

  it('is protected in both, and each has records of its own: listeners', async () => {
    const emitter = app.app.get(EventEmitter2);
    for (let time = 0; time < 2; time++) await emitter.emitAsync('paid', { id: 'C' });
    await eventually(() => runs.length >= 2);
    expect([...runs].sort()).toEqual(['OneListener C', 'TwoListener C']);
  });

  it('is listed for both', () => {
    const scopes = app.app
      .get(IdempotencyService)
      .coverage()
      .map(({ name }) => name)
      .filter((name) => /^(One|Two)/.test(name))
      .sort();
    expect(scopes).toEqual([
      'OneConsumer.placed',
      'OneGateway.pay',
      'OneListener.paid',
      'TwoConsumer.placed',
      'TwoGateway.pay',
      'TwoListener.paid',
    ]);
  });
});

describe('an override that leaves the decorator out stops the application', () => {
  @WebSocketGateway()
  class BareGateway extends Gateway {
    @SubscribeMessage('pay')
    override pay(order: Order): object {
      return super.pay(order);
    }
  }

  @Controller()
  class BareConsumer extends Consumer {
    @EventPattern<string>('placed')
    override placed(order: Order): void {
      super.placed(order);
    }
  }

  it.each<[string, Type[], Type[]]>([
    ['of an event of sockets', [], [BareGateway]],
    ['of a message', [BareConsumer], []],
  ])('%s', async (_, controllers, providers) => {
    const configure = (app: Parameters<typeof use>[1]): void => use('ws', app);
    const error = await bootError('express', { controllers, providers, configure });
    expect(error.message).toMatch(/Bare(Gateway|Consumer)\./);
  });
});
