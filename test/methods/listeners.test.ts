import { Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Command,
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  type IEvent,
  type ICommandHandler,
  ofType,
  Saga,
} from '@nestjs/cqrs';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { arg, Idempotent, IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { map, type Observable } from 'rxjs';
import { eventually } from '../support/http.js';

interface Paid {
  readonly id: string;
  readonly amount?: number;
}

class Pay extends Command<string> {
  constructor(
    readonly id: string,
    readonly amount: number,
  ) {
    super();
  }
}

class OrderPaid {
  constructor(readonly id: string) {}
}

let runs: string[];
let logged: string[];
let gate: Gate | undefined;
beforeEach(() => {
  runs = [];
  logged = [];
  gate = undefined;
});

@Injectable()
class Listener {
  @OnEvent('paid')
  @Idempotent({ key: arg(0, 'id') })
  async paid({ id }: Paid): Promise<void> {
    runs.push(`paid ${id}`);
    await gate?.pass();
  }

  @Idempotent({ key: arg(0, 'id'), onDuplicate: 'reject', onError: 'store' })
  @OnEvent('sent')
  sent({ id }: Paid): void {
    runs.push(`sent ${id}`);
    if (id === 'wrong') throw new Error('no address');
  }
}

@CommandHandler(Pay)
class PayHandler implements ICommandHandler<Pay> {
  @Idempotent({ key: arg(0, 'id') })
  async execute({ id, amount }: Pay): Promise<string> {
    runs.push(`pay ${id}`);
    return Promise.resolve(`${id}: ${amount}`);
  }
}

@EventsHandler(OrderPaid)
class OrderPaidHandler {
  @Idempotent({ key: arg(0, 'id') })
  async handle({ id }: OrderPaid): Promise<void> {
    runs.push(`order ${id}`);
    await gate?.pass();
  }
}

async function start(...providers: Type[]) {
  @Module({
    imports: [IdempotencyModule.forRoot(), EventEmitterModule.forRoot(), CqrsModule.forRoot()],
    providers,
  })
  class ListenersModule {}
  const write = (...entries: unknown[]): void => void logged.push(entries.map(String).join(' '));
  const logger = { log: () => undefined, warn: write, error: write, fatal: write };
  const app = await NestFactory.createApplicationContext(ListenersModule, {
    logger,
    abortOnError: false,
  });
  return app.init();
}

describe('a listener', () => {
  it('says in one line that it has left a duplicate alone, and does not fail', async () => {
    const app = await start(Listener);
    const codes: string[] = [];
    app.get(IdempotencyService).events$.subscribe((event) => {
      if (event.type === 'rejected') codes.push(event.code);
    });
    const emitter = app.get(EventEmitter2);
    gate = new Gate();
    const first = emitter.emitAsync('paid', { id: 'key-1' });
    await gate.reached(1);
    await emitter.emitAsync('paid', { id: 'key-1' });
    gate.open();
    await first;
    await emitter.emitAsync('paid', { id: 'key-1' });
    for (const id of ['key-2', 'key-2']) await emitter.emitAsync('sent', { id });
    expect(runs).toEqual(['paid key-1', 'sent key-2']);
    expect(codes).toEqual(['IDEMPOTENCY_KEY_IN_USE', 'IDEMPOTENCY_DUPLICATE']);
    expect(logged).toEqual([
      expect.stringMatching(/Listener\.paid: IDEMPOTENCY_KEY_IN_USE\. Idempotency$/),
      expect.stringMatching(/Listener\.sent: IDEMPOTENCY_DUPLICATE\. Idempotency$/),
    ]);
    expect(logged.join()).not.toMatch(/key-\d/);
    await app.close();
  });

  it('fails once with the error of its work, and with every other refusal', async () => {
    const app = await start(Listener);
    const emitter = app.get(EventEmitter2);
    for (const id of ['wrong', 'wrong']) await emitter.emitAsync('sent', { id });
    expect(logged.filter((line) => line.startsWith('no address'))).toHaveLength(1);
    for (const amount of [1, 2]) await emitter.emitAsync('paid', { id: 'a', amount });
    expect(logged.at(-1)).toMatch(/^IDEMPOTENCY_KEY_REUSED/);
    expect(runs).toEqual(['sent wrong', 'paid a']);
    await app.close();
  });
});

describe('handlers of @nestjs/cqrs', () => {
  it('run a command once, whoever sends it again', async () => {
    const app = await start(PayHandler);
    const bus = app.get(CommandBus);
    const replies = [await bus.execute(new Pay('a', 5)), await bus.execute(new Pay('a', 5))];
    expect(replies).toEqual(['a: 5', 'a: 5']);
    await expect(bus.execute(new Pay('a', 6))).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
    expect(runs).toEqual(['pay a']);
    await app.close();
  });

  it('handle an event once', async () => {
    const app = await start(OrderPaidHandler);
    const bus = app.get(EventBus);
    gate = new Gate();
    bus.publish(new OrderPaid('a'));
    await gate.reached(1);
    bus.publish(new OrderPaid('a'));
    await eventually(() => logged.length === 1);
    gate.open();
    bus.publish(new OrderPaid('b'));
    await gate.reached(2);
    expect(runs).toEqual(['order a', 'order b']);
    expect(logged).toEqual([expect.stringMatching(/OrderPaidHandler\.handle: IDEMPOTENCY_KEY_IN/)]);
    await app.close();
  });
});

describe('a saga', () => {
  it.each<[string, MethodDecorator[]]>([
    ['above', [Saga(), Idempotent({ key: arg(0) })]],
    ['below', [Idempotent({ key: arg(0) }), Saga()]],
  ])('stops the application, with @Saga() %s', async (_, [outer, inner]) => {
    @Injectable()
    class Sagas {
      @(outer!)
      @(inner!)
      paid(events: Observable<IEvent>) {
        return events.pipe(
          ofType(OrderPaid),
          map(({ id }) => new Pay(id, 1)),
        );
      }
    }
    await expect(start(Sagas)).rejects.toThrow(/Sagas\.paid, a saga.*execute\(\)/s);
  });

  it('cannot even be declared as a property', () => {
    const declare = (): unknown => {
      class Sagas {
        @(Idempotent() as PropertyDecorator)
        paid = (events: Observable<IEvent>): Observable<IEvent> => events;
      }
      return Sagas;
    };
    expect(declare).toThrow(/Sagas\.paid, a property/);
  });
});
