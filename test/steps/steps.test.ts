import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  IdempotencyModule,
  IdempotencyService,
  type IdempotentOperation,
  MemoryStore,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';

@Module({ imports: [IdempotencyModule.forRoot({ store: new MemoryStore() })] })
class App {}

let close: () => Promise<void>;
let service: IdempotencyService;
let runs: number;
let key = 0;

beforeAll(async () => {
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  service = app.get(IdempotencyService);
  close = () => app.close();
});

afterAll(() => close());

beforeEach(() => {
  runs = 0;
  key += 1;
});

const count = (): Promise<number> => Promise.resolve(++runs);

function operate<T>(work: (operation: IdempotentOperation) => Promise<T>): Promise<T> {
  return service.run({ scope: 'order', key }, work);
}

describe('a step whose name is repeated', () => {
  test('at the same time runs once, for all of them', async () => {
    const results = operate((operation) =>
      Promise.all([1, 2, 3].map(() => operation.step('charge', count))),
    );
    expect(await results).toEqual([1, 1, 1]);
  });

  test('later is not run again, whatever it is then', async () => {
    const results = operate(async (operation) => [
      await operation.step('charge', count),
      await operation.step('charge', () => 'another'),
      await operation.step('ship', count),
    ]);
    expect(await results).toEqual([1, 1, 2]);
  });

  test('at the same time fails for all of them, and runs again later', async () => {
    const gate = new Gate();
    const results = await operate(async (operation) => {
      const failing = async (): Promise<number> => {
        await gate.pass();
        throw new Error(`failure ${await count()}`);
      };
      const both = Promise.allSettled([1, 2].map(() => operation.step('charge', failing)));
      await gate.reached();
      gate.open();
      return [...(await both), await operation.step('charge', count)];
    });
    const failure = { status: 'rejected', reason: new Error('failure 1') };
    expect(results).toEqual([failure, failure, 2]);
  });

  test('inside of itself is an error, instead of waiting for ever', async () => {
    const nested = operate((operation) =>
      operation.step('charge', () => operation.step('fee', () => operation.step('charge', count))),
    );
    await expect(nested).rejects.toThrow('A step cannot contain itself.');
    expect(runs).toBe(0);
  });

  test('inside of itself, in another operation, is another step', async () => {
    const nested = operate((operation) =>
      operation.step('charge', () =>
        service.run({ scope: 'fee', key }, (fee) => fee.step('charge', count)),
      ),
    );
    expect(await nested).toBe(1);
  });
});

test('a name that the library uses itself is an error', async () => {
  const taken = operate((operation) => operation.step('idempotency:id', count));
  await expect(taken).rejects.toThrow('The name of a step must not begin with idempotency:');
});

test('steps without an operation on record run, each once', async () => {
  const work = async (operation: IdempotentOperation): Promise<number[]> => [
    await operation.step('charge', count),
    await operation.step('charge', count),
  ];
  const store = new FaultInjectingStore(new MemoryStore());
  store.always('acquire', failBefore());
  @Module({
    imports: [IdempotencyModule.forRoot({ store, defaults: { onStoreFailure: 'proceed' } })],
  })
  class Unprotected {}
  const app = await NestFactory.createApplicationContext(Unprotected, { logger: false });
  expect(await app.get(IdempotencyService).run({ scope: 'order', key }, work)).toEqual([1, 1]);
  await app.close();
});
