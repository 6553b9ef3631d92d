import { Controller, Injectable, Post } from '@nestjs/common';
import {
  IdempotencyConfigurationError,
  type IdempotencyEvent,
  IdempotencyService,
  Idempotent,
  arg,
  header,
  MemoryStore,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { Gate, ManualClock } from 'nestjs-idempotency/testing';
import {
  boot,
  bootError,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';

let runs = 0;
let gate: Gate;

@Injectable()
class Mailer {
  @Idempotent({ key: arg(0) })
  mail(_order: string): Promise<string> {
    return Promise.resolve('sent');
  }
}

@Controller()
class Payments {
  constructor(private readonly mailer: Mailer) {}

  @Idempotent()
  @Post('pay')
  async pay(): Promise<unknown> {
    runs += 1;
    await gate.pass();
    return { run: runs };
  }

  @Idempotent()
  @Post('quick')
  quick(): unknown {
    return { run: (runs += 1) };
  }

  @Idempotent()
  @Post('fail')
  fail(): never {
    runs += 1;
    throw new Error('not now');
  }

  @Idempotent({ strategy: 'lock', key: header('X-Coupon') })
  @Idempotent()
  @Post('locked')
  locked(): unknown {
    return { run: (runs += 1) };
  }

  @Idempotent({ strategy: 'lock', key: header('X-Coupon') })
  @Post('only-locked')
  async onlyLocked(): Promise<string> {
    await this.mailer.mail(String((runs += 1)));
    return 'mailed';
  }
}

/** A store of somebody else's, which knows nothing of limits. */
class Foreign extends MemoryStore {
  override prepareLimits = undefined as never;
}

describe.each(PLATFORMS)('limits of callers on %s', (platform) => {
  let test: TestApp | undefined;
  let clock: ManualClock;
  let keys = 0;
  beforeEach(() => {
    runs = 0;
    gate = new Gate();
    clock = new ManualClock();
  });
  afterEach(async () => {
    gate.open();
    await test?.close();
    test = undefined;
  });

  async function start(limits: object): Promise<TestApp> {
    test = await boot(platform, {
      controllers: [Payments],
      providers: [Mailer],
      idempotency: { limits, store: new MemoryStore({ clock }) },
    });
    return test;
  }

  const as = (who: string): { headers: Record<string, string> } => ({
    headers: { authorization: `Bearer ${who}`, 'x-coupon': 'c' },
  });
  const newKey = (): string => `key-${(keys += 1)}`;

  async function running(app: TestApp, count: number, who = 'alice'): Promise<Promise<Reply>[]> {
    const before = runs;
    const replies = Array.from({ length: count }, () =>
      app.send('/pay', { key: newKey(), ...as(who) }),
    );
    await eventually(() => Promise.resolve(runs === before + count));
    return replies;
  }

  it('refuse a new key while as many operations run as may, and run it later', async () => {
    const app = await start({ inFlight: 2 });
    const replies = await running(app, 2);
    const key = newKey();
    const refused = await app.send('/pay', { key, ...as('alice') });
    expectProblem(refused, 429, 'IDEMPOTENCY_LIMIT_EXCEEDED');
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.json()).toMatchObject({ retryable: true, limit: 'inFlight' });
    expect(runs).toBe(2);
    gate.open();
    await Promise.all(replies);
    expect((await app.send('/pay', { key, ...as('alice') })).status).toBe(201);
    expect(runs).toBe(3);
  });

  it('refuse more new keys in a minute, and tell when there is room', async () => {
    const app = await start({ newKeysPerMinute: 2 });
    await app.send('/quick', { key: 'a', ...as('alice') });
    await clock.advance(20_000);
    await app.send('/quick', { key: 'b', ...as('alice') });
    const refused = await app.send('/quick', { key: 'c', ...as('alice') });
    expectProblem(refused, 429, 'IDEMPOTENCY_LIMIT_EXCEEDED');
    expect(refused.headers['retry-after']).toBe('40');
    expect(refused.json()).toMatchObject({ limit: 'newKeysPerMinute' });
    await clock.advance(40_000);
    expect((await app.send('/quick', { key: 'c', ...as('alice') })).status).toBe(201);
  });

  it('never refuse a retry, a replay or a duplicate', async () => {
    const app = await start({ inFlight: 1, newKeysPerMinute: 3 });
    const done = await app.send('/quick', { key: 'done', ...as('alice') });
    await app.send('/fail', { key: 'failed', ...as('alice') });
    const replies = await running(app, 1);
    expectReplay(done, await app.send('/quick', { key: 'done', ...as('alice') }));
    const key = `key-${keys}`;
    expectProblem(await app.send('/pay', { key, ...as('alice') }), 409, 'IDEMPOTENCY_KEY_IN_USE');
    const before = runs;
    expect((await app.send('/fail', { key: 'failed', ...as('alice') })).status).toBe(500);
    expect(runs).toBe(before + 1);
    const other = { key, body: { other: true }, ...as('alice') };
    expectProblem(await app.send('/pay', other), 422, 'IDEMPOTENCY_KEY_REUSED');
    gate.open();
    await Promise.all(replies);
  });

  it('count each caller alone: by its credentials, and those without any together', async () => {
    const app = await start({ inFlight: 1 });
    const replies = await running(app, 1);
    expect((await app.send('/quick', { key: newKey(), ...as('alice') })).status).toBe(429);
    expect((await app.send('/quick', { key: newKey(), ...as('bob') })).status).toBe(201);
    const nobody = app.send('/pay', { key: newKey() });
    await eventually(() => Promise.resolve(runs === 3));
    expect((await app.send('/quick', { key: newKey() })).status).toBe(429);
    gate.open();
    expect((await nobody).status).toBe(201);
    await Promise.all(replies);
  });

  it('count a call once, however many records it has, and never what only locks', async () => {
    const app = await start({ newKeysPerMinute: 2 });
    for (const key of ['a', 'b'])
      expect((await app.send('/locked', { key, ...as('alice') })).status).toBe(201);
    expect((await app.send('/locked', { key: 'c', ...as('alice') })).status).toBe(429);
    // Nor the method of a provider, which nobody in particular calls.
    for (let count = 0; count < 3; count += 1)
      expect((await app.send('/only-locked', as('alice'))).status).toBe(201);
  });

  it('do not count a refused call: its lock is free', async () => {
    const app = await start({ newKeysPerMinute: 1 });
    await app.send('/locked', { key: 'a', ...as('alice') });
    expect((await app.send('/locked', { key: 'b', ...as('alice') })).status).toBe(429);
    expect((await app.send('/locked', { key: 'c', ...as('bob') })).status).toBe(201);
  });

  it('count what code runs under the name of a caller', async () => {
    const app = await start({ newKeysPerMinute: 1 });
    const service = app.app.get(IdempotencyService);
    const call = { scope: 'imports', principal: 'alice' };
    await service.run({ ...call, key: 'a' }, () => 'done');
    await expect(service.run({ ...call, key: 'b' }, () => 'done')).rejects.toMatchObject({
      code: 'IDEMPOTENCY_LIMIT_EXCEEDED',
    });
    expect(await service.run({ ...call, key: 'a' }, () => 'again')).toBe('done');
    for (const key of ['a', 'b']) await service.run({ scope: 'own', key }, () => 'done');
  });

  it('are told of in events', async () => {
    const app = await start({ newKeysPerMinute: 1 });
    const events: IdempotencyEvent[] = [];
    app.app.get(IdempotencyService).events$.subscribe((event) => events.push(event));
    await app.send('/quick', { key: 'a', ...as('alice') });
    await app.send('/quick', { key: 'b', ...as('alice') });
    expect(events.at(-1)).toMatchObject({
      type: 'rejected',
      scope: 'POST /quick',
      code: 'IDEMPOTENCY_LIMIT_EXCEEDED',
    });
  });

  it('stop the application where a store does not keep them', async () => {
    const store = new Foreign();
    const boots = (idempotency: { store: IdempotencyStore; limits?: object }): Promise<Error> =>
      bootError(platform, { controllers: [Payments], providers: [Mailer], idempotency });
    const error = await boots({ store, limits: { inFlight: 1 } });
    expect(error).toBeInstanceOf(IdempotencyConfigurationError);
    expect(error.message).toMatch(/limits.*Foreign.*prepareLimits/s);
    await expect(boots({ store })).rejects.toThrow('The application booted.');
  });

  it.each([
    [{}, /inFlight, newKeysPerMinute or both/],
    [5, /inFlight, newKeysPerMinute or both/],
    [{ inflight: 5 }, /limits\.inflight/],
    [{ inFlight: 0 }, /limits\.inFlight.*1 to 1000/s],
    [{ inFlight: 1001 }, /limits\.inFlight.*1 to 1000/s],
    [{ inFlight: '5' }, /limits\.inFlight/],
    [{ newKeysPerMinute: 1.5 }, /limits\.newKeysPerMinute.*1 to 100000/s],
  ])('are checked at boot: %j', async (limits, message) => {
    const error = await bootError(platform, {
      controllers: [Payments],
      providers: [Mailer],
      idempotency: { limits: limits as object },
    });
    expect(error.message).toMatch(message);
  });
});

describe('callers that the memory store knows', () => {
  it('are forgotten when there is nothing to count of them', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore({ clock });
    const claim = (index: number): Parameters<MemoryStore['acquire']>[0] => ({
      id: `record ${index}`,
      owner: `owner ${index}`,
      bucket: `caller ${index}`,
      fingerprint: '',
      leaseMs: 1_000,
      ttlMs: 1_000,
      limits: { inFlight: 5, newKeys: 5, windowMs: 60_000 },
    });
    for (let index = 0; index < 500; index += 1) store.acquire(claim(index));
    expect(store.callers).toBe(500);
    await clock.advance(60_001);
    for (let index = 500; index < 1_000; index += 1) store.acquire(claim(index));
    expect(store.callers).toBe(500);
  });
});
