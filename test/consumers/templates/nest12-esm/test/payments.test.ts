import 'reflect-metadata';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { IDEMPOTENCY_STORE } from 'nestjs-idempotency';
import { type IdempotencyStore, isPurging } from 'nestjs-idempotency/contracts';
import * as testing from 'nestjs-idempotency/testing';
import { AppModule } from '../src/app.module.js';

describe('POST /payments', () => {
  let app: NestFastifyApplication;
  let url: string;

  beforeAll(async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = module.createNestApplication(new FastifyAdapter());
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterAll(() => app.close());

  const pay = () =>
    fetch(`${url}/payments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'order-1-payment' },
      body: JSON.stringify({ orderId: 'order-1', amount: 42 }),
    });

  it('runs once and replays the reply', async () => {
    const first = await pay();
    const second = await pay();

    expect(first.status).toBe(201);
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(second.status).toBe(201);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(await second.text()).toBe(await first.text());
    const executions = await fetch(`${url}/payments/executions`);
    expect(await executions.json()).toEqual({ executions: 1 });
  });

  it('knows the store by its contract', () => {
    const store = app.get<IdempotencyStore>(IDEMPOTENCY_STORE);
    expect(isPurging(store)).toBe(true);
  });
});

it('loads the testing entry point', () => {
  expect(Object.keys(testing)).not.toEqual([]);
});
