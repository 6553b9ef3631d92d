import { Controller, Post } from '@nestjs/common';
import { Idempotent, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { CIRCUIT_CHANNEL, type CircuitChange } from 'nestjs-idempotency/contracts';
import { FaultInjectingStore, hang, ManualClock } from 'nestjs-idempotency/testing';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { boot, bootError, expectProblem, expectReplay, type TestApp } from '../support/http.js';

let runs = 0;

@Controller()
class Orders {
  @Idempotent()
  @Post('orders')
  order(): unknown {
    return { run: (runs += 1) };
  }
}

const controllers = [Orders];
const FAILURES = 5;
const STORE_TIMEOUT_MS = 2_000;

describe('while the store does not answer', () => {
  const store = new FaultInjectingStore(new MemoryStore());
  const clock = new ManualClock();
  const heard: CircuitChange[] = [];
  const hear = (change: unknown): void => void heard.push(change as CircuitChange);
  const told: string[] = [];
  let shop: TestApp;
  let keys = 0;

  beforeAll(async () => {
    subscribe(CIRCUIT_CHANNEL, hear);
    shop = await boot('fastify', { controllers, idempotency: { store }, clock });
    shop.app.get(IdempotencyService).circuit$.subscribe(({ state }) => told.push(state));
  });

  afterAll(async () => {
    unsubscribe(CIRCUIT_CHANNEL, hear);
    await shop.close();
  });

  const order = () => shop.send('/orders', { key: `order ${(keys += 1)}`, body: {} });

  it('refuses at once after a run of failures, asks by itself, and runs calls again', async () => {
    store.always('acquire', hang()).always('find', hang());
    const waiting = Array.from({ length: FAILURES }, order);
    while (store.calls.filter(({ verb }) => verb === 'acquire').length < FAILURES)
      await new Promise(setImmediate);
    await clock.advance(STORE_TIMEOUT_MS);
    for (const reply of await Promise.all(waiting))
      expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
    const asked = store.calls.length;

    // The clock stands still: none of them waits for anything.
    for (let i = 0; i < 50; i++) {
      const reply = await order();
      expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
      expect(reply.headers['retry-after']).toBe('1');
    }
    expect(store.calls).toHaveLength(asked);
    expect(shop.complaints).toEqual([expect.stringMatching(/The idempotency store keeps failing/)]);
    expect(runs).toBe(0);

    store.heal();
    await clock.advance(1_000);
    expect((await order()).status).toBe(201);
    expect(told).toEqual(['open', 'closed']);
    expect(heard).toMatchObject([{ state: 'open', cause: expect.any(Error) }, { state: 'closed' }]);
  });
});

it('asks at every call without a circuit breaker', async () => {
  const store = new FaultInjectingStore(new MemoryStore());
  const idempotency = { store, circuitBreaker: false, storeTimeout: 5 } as const;
  const shop = await boot('fastify', { controllers, idempotency });
  store.always('acquire', hang());
  for (let i = 0; i < 2 * FAILURES; i++) await shop.send('/orders', { key: `${i}`, body: {} });
  expect(store.calls.filter(({ verb }) => verb === 'acquire')).toHaveLength(2 * FAILURES);
  await shop.close();
});

it('keeps finished replies in the process if it may, until they are forgotten', async () => {
  const store = new FaultInjectingStore(new MemoryStore());
  const idempotency = { store, replayCache: { bytes: 100_000 } };
  const shop = await boot('fastify', { controllers, idempotency });
  const order = () => shop.send('/orders', { key: 'kept', body: {} });
  const first = await order();
  const asked = store.calls.length;
  expectReplay(first, await order());
  expect(store.calls).toHaveLength(asked);

  const ref = { scope: 'POST /orders', key: 'kept' };
  expect(await shop.app.get(IdempotencyService).forget(ref)).toBe(true);
  expect((await order()).json()).not.toEqual(first.json());
  await shop.close();
});

it.each([
  [{ circuitBreaker: true }, 'circuitBreaker'],
  [{ circuitBreaker: { failures: 0 } }, 'circuitBreaker.failures'],
  [{ circuitBreaker: { pause: 'soon' } }, 'circuitBreaker.pause'],
  [{ circuitBreaker: { probes: 1 } }, 'circuitBreaker.probes'],
  [{ limits: { inFlight: undefined } }, 'limits.inFlight'],
  [{ replayCache: true }, 'replayCache'],
  [{ replayCache: {} }, 'replayCache.bytes'],
  [{ replayCache: { bytes: 10 } }, 'replayCache.bytes'],
  [{ replayCache: { bytes: 10_000, maxAge: 0 } }, 'replayCache.maxAge'],
  [{ replayCache: { bytes: 10_000, size: 1 } }, 'replayCache.size'],
])('refuses to boot with %j', async (given, option) => {
  const error = await bootError('fastify', { controllers, idempotency: given as object });
  expect(error).toMatchObject({ problem: { option } });
});
