import { HttpException, Module, NotFoundException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { isDeepStrictEqual } from 'node:util';

class OutOfStock extends NotFoundException {
  constructor(readonly left: number) {
    super({ message: 'out', left }, { cause: new RangeError('empty') });
  }
}

class Declined extends Error {
  constructor(readonly reason: string) {
    super(`declined: ${reason}`, { cause: { code: 51 } });
  }
}

let service: IdempotencyService;
let close: () => Promise<void>;

beforeAll(async () => {
  @Module({ imports: [IdempotencyModule.forRoot({ store: new MemoryStore() })] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  service = app.get(IdempotencyService);
  close = () => app.close();
});

afterAll(() => close?.());

async function thrownBy(key: string, error: unknown): Promise<unknown> {
  return service
    .run({ scope: 'thrown', key, onError: 'store' }, () => {
      throw error;
    })
    .then(
      () => 'nothing was thrown',
      (thrown: unknown) => thrown,
    );
}

describe('what work has thrown', () => {
  it.each<[string, unknown]>([
    ['an exception of Nest', new NotFoundException('gone', { cause: new Error('why') })],
    ['an exception with a response', new HttpException({ code: 'X', list: [1] }, 422)],
    ['an error of the language', new TypeError('no', { cause: 'text' })],
    ['several errors', new AggregateError([new Error('a'), 'b'], 'both')],
    ['text', 'no'],
    ['a number', 7],
    ['nothing', undefined],
    ['an object that looks like an exception', { response: 'no', status: 400, message: 'x' }],
    ['an object that looks like one of messages', { rpcError: 'no', getError: 'no' }],
    ['an object that looks like one of GraphQL', { graphqlError: { message: 'no' } }],
  ])('is thrown again as what it was: %s', async (name, error) => {
    await thrownBy(name, error);
    const again = await thrownBy(name, new Error('not this one'));
    expect(isDeepStrictEqual(again, error)).toBe(true);
  });

  it('is the exception of Nest that it extends, with its name and properties', async () => {
    await thrownBy('own', new OutOfStock(3));
    const again = await thrownBy('own', undefined);
    expect(again).toBeInstanceOf(NotFoundException);
    expect(again).toMatchObject({ name: 'OutOfStock', left: 3, status: 404 });
    expect((again as Error).cause).toBeInstanceOf(RangeError);
  });

  it('is an error with the properties of its own class', async () => {
    await thrownBy('error', new Declined('limit'));
    const again = await thrownBy('error', undefined);
    expect(again).toBeInstanceOf(Error);
    expect(again).toMatchObject({
      message: 'declined: limit',
      reason: 'limit',
      cause: { code: 51 },
    });
  });

  it('is told to be lost where a record cannot keep it', async () => {
    await thrownBy('lost', Object.assign(new Error('no'), { retry: () => undefined }));
    expect(await thrownBy('lost', undefined)).toMatchObject({ code: 'IDEMPOTENCY_REPLY_NOT_KEPT' });
  });
});
