import { Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Decimal } from 'decimal.js';
import {
  IdempotencyModule,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  replyType,
} from 'nestjs-idempotency';
import type { ReplyType, SaveStepRequest, StepOptions } from 'nestjs-idempotency/contracts';
import { failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { KnownTypes, named } from '../../src/replies/known-types.js';
import { encodeValue } from '../../src/replies/values.js';
import { type Reply, boot, expectProblem, type TestApp } from '../support/http.js';

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

const values = (given: readonly ReplyType[]) => {
  const types = new KnownTypes();
  for (const type of given) types.add(named(type));
  return { types };
};

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

describe('what a step returned', () => {
  class Charge {
    constructor(readonly id: string) {}

    get isLarge(): boolean {
      return this.id.length > 3;
    }
  }

  class Seen extends MemoryStore {
    readonly saved: SaveStepRequest[] = [];
    /** What older versions or other applications have written. */
    instead: Uint8Array | undefined;

    override saveStep(request: SaveStepRequest) {
      this.saved.push(request);
      return super.saveStep({ ...request, value: this.instead ?? request.value });
    }
  }

  const decimal = replyType({
    name: 'decimal',
    class: Decimal,
    toData: String,
    fromData: (text) => new Decimal(text),
  });
  /** Writes what the registered type refuses, and says so. */
  const unreadable = { ...decimal, class: Charge, toData: ({ id }: Charge) => id };
  let store: Seen;
  let app: TestApp;
  let work: (operation: IdempotentOperation) => unknown;

  @Controller()
  class Routes {
    @Post('orders')
    @Idempotent()
    async order(@Operation() operation: IdempotentOperation): Promise<string> {
      const result = await work(operation);
      if (operation.attempt === 1) throw new Error('after the step');
      return inspect(result);
    }
  }

  const start = async (types: ReplyType[]): Promise<void> => {
    store = new Seen();
    app = await boot('express', { controllers: [Routes], idempotency: { store, types } });
  };
  /** The answer to the second attempt. */
  const retried = async (): Promise<Reply> => {
    expect((await app.send('/orders', { key: String(key) })).status).toBe(500);
    return app.send('/orders', { key: String(key) });
  };

  beforeEach(() => start([decimal]));
  afterEach(() => app.close());

  test.each<[string, unknown, StepOptions | undefined]>([
    ['of a registered type', { total: new Decimal('1.10') }, undefined],
    ['of a class that it names', [new Charge('A-4711')], { returns: Charge }],
    ['of a built-in type', new Map([[1n, new URL('https://a.example/')]]), undefined],
  ])('%s is itself for the next attempt of a route', async (_, value, options) => {
    work = (operation) => operation.step('charge', () => value, options);
    expect((await retried()).text).toBe(inspect(value));
    expect(store.saved).toHaveLength(1);
  });

  test('by running another operation is itself too', async () => {
    work = (operation) =>
      operation.step(
        'charge',
        () =>
          app.app
            .get(IdempotencyService)
            .run({ scope: 'charge', key, returns: Charge }, () => new Charge('A')),
        { returns: Charge },
      );
    expect((await retried()).text).toBe(inspect(new Charge('A')));
  });

  test('for an older version of the library can be read', async () => {
    store.instead = serialize({ id: 'A', at: new Date(5) });
    work = (operation) => operation.step('charge', () => ({ id: 'A', at: new Date(5) }));
    expect((await retried()).text).toBe(inspect({ id: 'A', at: new Date(5) }));
  });

  test.each<[string, () => Uint8Array, RegExp]>([
    [
      'with a type that is not registered any more',
      () => encodeValue(new Charge('A'), values([{ name: 'charge', class: Charge }])),
      /step "charge" of Routes\.order cannot be read: .*"charge".*Register it/,
    ],
    [
      'in no form',
      () => Buffer.from([9, 9]),
      /^(?!.*4711).*cannot be read: The record is damaged\./,
    ],
    [
      'with data that its type refuses',
      () => encodeValue(new Charge('A-4711'), values([unreadable])),
      /^(?!.*4711).*cannot be read: The record is damaged\./,
    ],
  ])('%s is refused, and the log says why', async (_, bytes, why) => {
    store.instead = bytes();
    work = (operation) => operation.step('charge', () => count());
    expectProblem(await retried(), 500, 'IDEMPOTENCY_RECORD_UNREADABLE');
    expect(app.complaints.filter((line) => line.includes('UNREADABLE'))).toEqual([
      expect.stringMatching(why),
    ]);
    expect(runs).toBe(1);
  });

  test('is not asked for a class that is none', async () => {
    work = (operation) => operation.step('charge', count, { returns: 'Charge' as never });
    const failure = await operate((operation) => work(operation) as Promise<unknown>).catch(
      (error: unknown) => error,
    );
    expect(String(failure)).toMatch(/"returns of step "charge"" is "Charge"/);
    expect(runs).toBe(0);
  });

  test('is warned of once, whatever the steps are called', async () => {
    work = async (operation) => {
      for (const line of [4711, 4712]) await operation.step(`line ${line}`, () => new Charge('A'));
    };
    await retried();
    const warnings = app.complaints.filter((line) => line.includes('not kept'));
    expect(warnings).toEqual([
      expect.stringMatching(/The result of a step of Routes\.order .*which has accessors.*held/),
    ]);
    expect(warnings.join()).not.toContain('4711');
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
