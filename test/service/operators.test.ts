import { Controller, Injectable, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  arg,
  body,
  type IdempotencyEvent,
  type IdempotentCall,
  type IdempotencyModuleOptions,
  IdempotencyService,
  Idempotent,
  MemoryStore,
  recoveredReply,
} from 'nestjs-idempotency';
import { IDEMPOTENCY_CLOCK } from 'nestjs-idempotency/contracts';
import { ManualClock } from 'nestjs-idempotency/testing';
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { IdempotencyModule } from 'nestjs-idempotency';
import { failureOf as recordedFailureOf } from '../../src/engine/story.js';
import { resolveLabel } from '../../src/keys/label.js';
import { boot, type TestApp } from '../support/http.js';

const BY = { by: 'anna', reason: 'the provider says: paid' };
const HOUR_MS = 3_600_000;

describe('operations that an operator settles', () => {
  let clock: ManualClock;
  let store: MemoryStore;
  let service: IdempotencyService;
  let close: () => Promise<void>;
  let events: IdempotencyEvent[];

  async function start(options: IdempotencyModuleOptions = {}): Promise<void> {
    clock = new ManualClock();
    store = new MemoryStore({ clock });
    const module = IdempotencyModule.forRoot({ store, ...options });
    module.providers = [
      ...(module.providers ?? []),
      { provide: IDEMPOTENCY_CLOCK, useValue: clock },
    ];
    @Injectable()
    class Payouts {
      @Idempotent({ scope: 'payout', key: arg(0), ttl: '60d' })
      pay(id: string): Promise<string> {
        return Promise.resolve(id);
      }
    }
    @Module({ imports: [module], providers: [Payouts] })
    class TestModule {}
    const app = await NestFactory.createApplicationContext(TestModule, { logger: false });
    service = app.get(IdempotencyService);
    close = () => app.close();
    events = [];
    service.events$.subscribe((event) => events.push(event));
  }

  beforeEach(() => start());
  afterEach(() => close());

  const hold = (key: string, label?: string): Promise<unknown> =>
    service
      .run({ scope: 'charge', key, ttl: '7d', onError: 'hold', ...(label && { label }) }, () => {
        throw new TypeError(`card '4242424242424242' of (eve@example.com) was declined, 1234567`);
      })
      .catch(() => undefined);

  it('are listed with what they are about, and settled by their ids', async () => {
    await hold('k1', 'order 7');
    await clock.advance(1_000);
    await hold('k2');
    const { records, cursor } = await service.list({ state: 'held' });
    expect(cursor).toBeUndefined();
    expect(records).toMatchObject([
      {
        state: 'held',
        scope: 'charge',
        label: 'order 7',
        attempt: 1,
        reason: 'failed with status 500',
        failure: { name: 'TypeError', message: 'card … of … was declined, …' },
        createdAt: expect.any(Date),
        heldAt: expect.any(Date),
        isAbandoned: false,
      },
      { label: undefined },
    ]);
    const { id } = records[0]!;
    expect(await service.settle({ id }, recoveredReply('paid'), BY)).toBe(true);
    const settled = await service.find({ id });
    expect(settled).toMatchObject({
      state: 'completed',
      settledBy: BY,
      ttlRemainingMs: 168 * HOUR_MS,
    });
    expect(settled?.settledAt).toBeInstanceOf(Date);
    const replay = service.run({ scope: 'charge', key: 'k1', ttl: '7d' }, () => 'again');
    expect(await replay).toBe('paid');
    expect(events).toContainEqual({
      type: 'settled',
      scope: 'charge',
      strategy: 'operator',
      id,
      decision: 'replied',
      ...BY,
    });
    expect((await service.list({ state: 'held' })).records).toHaveLength(1);
  });

  it.each([
    ['data', { id: 7 }],
    ['text', 'paid'],
    ['text that is empty', ''],
    ['nothing', undefined],
    ['what JSON has no form of', new Date(5)],
  ])('are settled with %s, which a retry gets', async (_what, value) => {
    await hold('k1');
    const { id } = (await service.list({ state: 'held' })).records[0]!;
    expect(await service.settle({ id }, recoveredReply(value), BY)).toBe(true);
    expect(await service.run({ scope: 'charge', key: 'k1' }, () => 'again')).toEqual(value);
  });

  describe('whose attempts are used up run when they are released', () => {
    const ref = { scope: 'charge', key: 'k1' };
    const run = (work: () => string): Promise<string> =>
      service.run({ ...ref, onAbandoned: 'hold', maxAttempts: 2 }, work);
    const fail = (): Promise<unknown> =>
      run(() => {
        throw new Error('no');
      }).catch(() => undefined);

    async function expectRunAfterRelease(): Promise<void> {
      await expect(run(() => 'too often')).rejects.toMatchObject({
        code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
      });
      expect(await service.settle(ref, 'release', BY)).toBe(true);
      await fail();
      expect(await run(() => 'paid')).toBe('paid');
    }

    it('after the last one failed', async () => {
      await fail();
      await fail();
      await expectRunAfterRelease();
    });

    it('after the process of the last one died', async () => {
      await fail();
      const { id } = (await service.find(ref))!;
      store.acquire({ id, owner: 'dead', fingerprint: '', leaseMs: 1_000, ttlMs: 24 * HOUR_MS });
      await clock.advance(2_000);
      await expect(run(() => 'too often')).rejects.toMatchObject({
        code: 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED',
      });
      await expectRunAfterRelease();
    });

    it('before anybody else has seen that it died', async () => {
      await fail();
      const { id } = (await service.find(ref))!;
      store.acquire({ id, owner: 'dead', fingerprint: '', leaseMs: 1_000, ttlMs: 24 * HOUR_MS });
      await clock.advance(2_000);
      expect(await service.settle(ref, 'release', BY)).toBe(true);
      expect(await run(() => 'paid')).toBe('paid');
    });
  });

  it('are found by scope, label and age', async () => {
    await hold('k1', 'order 7');
    await hold('k2', 'order 8');
    const found = async (query: object): Promise<number> =>
      (await service.list({ state: 'held', ...query })).records.length;
    expect(await found({ label: 'order 8' })).toBe(1);
    expect(await found({ scope: 'refund' })).toBe(0);
    expect(await found({ scope: 'charge', olderThan: '1h' })).toBe(0);
    expect(await found({ scope: 'charge' })).toBe(2);
  });

  it('come a page at a time', async () => {
    for (let i = 0; i < 5; i += 1) await hold(`k${i}`);
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await service.list({ state: 'held', limit: 2, cursor });
      sizes.push(page.records.length);
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(sizes).toEqual([2, 2, 1]);
  });

  it('are deleted with a trail', async () => {
    await hold('k1');
    const { id } = (await service.list({ state: 'held' })).records[0]!;
    expect(await service.forget({ id }, BY)).toBe(true);
    expect(await service.forget({ id }, BY)).toBe(false);
    const forgotten = events.filter(({ type }) => type === 'forgotten');
    expect(forgotten).toEqual([
      { type: 'forgotten', scope: 'charge', strategy: 'operator', id, ...BY },
    ]);
  });

  describe('that are abandoned', () => {
    const id = 'a'.repeat(64);
    const claim = { id, owner: 'dead', fingerprint: 'f', leaseMs: 1_000, ttlMs: HOUR_MS };

    beforeEach(async () => {
      store.acquire({ ...claim, scope: 'charge', label: 'order 7' });
      await clock.advance(999);
    });

    it('are not settled while their owner is alive', async () => {
      expect(await service.settle({ id }, 'release', BY)).toBe(false);
      expect((await service.list({ state: 'abandoned' })).records).toEqual([]);
      expect(store.extend(claim)).toBe(true);
    });

    it('are held, so that nobody runs them', async () => {
      await clock.advance(1);
      const { records } = await service.list({ state: 'abandoned' });
      expect(records).toMatchObject([{ id, isAbandoned: true, label: 'order 7' }]);
      expect(await service.settle({ id }, 'hold', BY)).toBe(true);
      expect(await service.find({ id })).toMatchObject({
        state: 'held',
        reason: `abandoned; ${BY.reason}`,
        label: 'order 7',
      });
      expect(await service.settle({ id }, 'hold', BY)).toBe(false);
      expect(store.complete({ ...claim, reply: Buffer.from('late') })).toBe(false);
    });

    it('lose no step if a retry has released them in the same moment', async () => {
      await clock.advance(1);
      const retry = { ...claim, owner: 'retry' };
      const find = store.find.bind(store);
      store.find = (one) => {
        const record = find(one);
        if (record?.owner !== 'dead') return record;
        store.acquire(retry);
        store.saveStep({ ...retry, name: 'charge', value: Buffer.from('1') });
        store.release(retry);
        return record;
      };
      expect(await service.settle({ id }, 'hold', BY)).toBe(false);
      await clock.advance(1_000);
      expect(await service.find({ id })).toMatchObject({ state: 'released', steps: ['charge'] });
    });

    it.each([
      ['the handler', 'payout', 60],
      ['30 days, where no handler here has the scope', 'elsewhere', 30],
    ])('keep the reply as long as %s', async (_what, scope, days) => {
      const other = 'b'.repeat(64);
      store.acquire({ ...claim, id: other, scope });
      await clock.advance(1_000);
      expect(await service.settle({ id: other }, recoveredReply('paid'), BY)).toBe(true);
      expect(await service.find({ id: other })).toMatchObject({
        state: 'completed',
        ttlRemainingMs: days * 24 * HOUR_MS,
      });
    });

    it.each([
      ['a reply', recoveredReply('paid'), 'completed'],
      ['a release', 'release', 'released'],
    ] as const)('are settled with %s', async (_what, decision, state) => {
      await clock.advance(1);
      expect(await service.settle({ id }, decision, BY)).toBe(true);
      expect(await service.find({ id })).toMatchObject({ state, settledBy: BY });
    });
  });

  it.each([
    ['by', { by: '', reason: 'why' }],
    ['reason', { by: 'anna', reason: ' ' }],
  ])('are not settled without %s', async (option, settledBy) => {
    await hold('k1');
    const { id } = (await service.list({ state: 'held' })).records[0]!;
    await expect(service.settle({ id }, 'release', settledBy)).rejects.toThrow(`"${option}"`);
    expect(await service.find({ id })).toMatchObject({ state: 'held' });
  });

  it.each([
    ['state of list()', () => service.list({ state: 'gone' as 'held' })],
    ['limit of list()', () => service.list({ state: 'held', limit: 0 })],
    ['olderThan of list()', () => service.list({ state: 'held', olderThan: 'long' as '1h' })],
    ['id', () => service.find({ id: 'k1' })],
    ['source', () => service.list({ state: 'held', source: 'other' })],
  ])('are not looked for with a wrong %s', async (option, ask) => {
    await expect(ask()).rejects.toThrow(`"${option}"`);
  });

  it('are deleted when they have expired, a few at a time, where a scheduler asks for it', async () => {
    await close();
    await start({ encryption: { keys: [Buffer.alloc(32, 7)] } });
    const left = [3, 3, 1];
    const asked: number[] = [];
    store.purgeExpired = (limit) => {
      asked.push(limit);
      return left.shift() ?? 0;
    };
    expect(await service.purge({ batch: 3 })).toEqual({ deleted: 7, isComplete: true });
    expect(asked).toEqual([3, 3, 3, 3]);
    for (const wrong of [{ batch: 0 }, { time: 'long' as '1s' }])
      await expect(service.purge(wrong)).rejects.toThrow('of purge()');
  });

  it('are not all deleted while a part of the store is down, nor while it does not answer', async () => {
    const left = [3, 2];
    store.purgeExpired = () => {
      const deleted = left.shift();
      if (deleted === undefined) throw new Error('a shard is down');
      return deleted;
    };
    await expect(service.purge({ batch: 3 })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    });
    store.purgeExpired = (() => new Promise(() => undefined)) as never;
    expect(await service.purge({ time: 20 })).toEqual({ deleted: 0, isComplete: false });
  });

  it('keep the message of their failure sealed where replies are', async () => {
    await close();
    await start({ encryption: { keys: [Buffer.alloc(32, 7)] } });
    await hold('k1');
    const [record] = (await service.list({ state: 'held' })).records;
    expect(record?.failure?.message).toBe('card … of … was declined, …');
    const [sealed] = store.list({ state: 'held', limit: 1 }).records;
    expect(sealed?.story?.failure?.message).toMatch(/^sealed:[\w-]+$/);
  });
});

describe('what a record keeps of an error', () => {
  it.each([
    ["duplicate key (email)=('a b') exists", 'duplicate key …=… exists'],
    ['first line\nDETAIL: secret', 'first line'],
    ['x'.repeat(300), `${'x'.repeat(199)}…`],
    ['Entry "abc" for a@b.example, no 4242 4242 4242 4242', 'Entry … for … no …'],
  ])('is its message without values: %s', (message, kept) => {
    expect(recordedFailureOf(new Error(message))).toEqual({ name: 'Error', message: kept });
  });
});

it('an operation is held also for an error whose name and message are no text', async () => {
  const test = await boot('express', { controllers: [] });
  const service = test.app.get(IdempotencyService);
  const error = Object.assign(new Error(), { name: undefined, message: { code: 7 } });
  const ref = { scope: 'charge', key: 'k' };
  const fail = (): never => {
    throw error;
  };
  await expect(service.run({ ...ref, onError: 'hold' }, fail)).rejects.toBe(error);
  const failure = { name: 'Error', message: '' };
  expect(await service.find(ref)).toMatchObject({ state: 'held', failure });
  await test.close();
});

describe('the option label', () => {
  let test: TestApp;
  afterEach(() => test.close());

  @Controller()
  class Orders {
    @Idempotent({ label: body('orderNo'), onError: 'hold' })
    @Post('orders')
    order(): never {
      throw new Error('the provider did not answer');
    }

    @Idempotent({
      label: () => {
        throw new Error('no label');
      },
    })
    @Post('unnamed')
    unnamed(): string {
      return 'ran';
    }
  }

  it('is one short line, from run() too', async () => {
    test = await boot('express', { controllers: [Orders] });
    const service = test.app.get(IdempotencyService);
    const labelled = async (label: unknown): Promise<string | undefined> => {
      const ref = { scope: 'charge', key: randomUUID() };
      await service.run({ ...ref, label: label as string }, () => 'paid');
      return (await service.find(ref))?.label;
    };
    expect(await labelled('order\n7')).toBe('order 7');
    expect(await labelled(7)).toBe('7');
    expect(await labelled('')).toBeUndefined();
    expect(await labelled('x'.repeat(300))).toBe(`${'x'.repeat(199)}…`);
  });

  it('is listed, and its operation settled, by a process without its handler', async () => {
    const store = new MemoryStore();
    test = await boot('express', { controllers: [Orders], idempotency: { store } });
    const order = { key: 'k', body: { orderNo: 'A-7' } };
    await test.send('/orders', order);
    const admin = await boot('express', { controllers: [], idempotency: { store } });
    const service = admin.app.get(IdempotencyService);
    const { id } = (await service.list({ state: 'held' })).records[0]!;
    expect(await service.settle({ id }, recoveredReply({ id: 7 }), BY)).toBe(true);
    const again = await test.send('/orders', order);
    expect([again.status, again.json()]).toEqual([200, { id: 7 }]);
    await admin.close();
  });

  it('names the operation for operators, and a call without one runs', async () => {
    test = await boot('express', { controllers: [Orders] });
    const service = test.app.get(IdempotencyService);
    const order = { key: 'k', body: { orderNo: 'A-7' } };
    await test.send('/orders', order);
    const { records } = await service.list({ state: 'held' });
    expect(records).toMatchObject([{ label: 'A-7', scope: 'POST /orders' }]);
    const reply = recoveredReply({ id: 7 }, { status: 201 });
    expect(await service.settle({ id: records[0]!.id }, reply, BY)).toBe(true);
    const again = await test.send('/orders', order);
    expect(again.headers).toHaveProperty('idempotent-replayed', 'true');
    expect([again.status, again.json()]).toEqual([201, { id: 7 }]);
    expect((await test.send('/unnamed', { key: 'k' })).status).toBe(201);
  });
});

it('no call waits for its label longer than a second', async () => {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const warn = (warning: string): void => void warnings.push(warning);
  const never = (): Promise<string> => new Promise(() => undefined);
  const read = resolveLabel(never, 'Orders.order', warn, clock)!;
  const labels: unknown[] = [];
  void Promise.resolve(read({} as IdempotentCall)).then((label) => labels.push(label));
  await clock.advance(1_000);
  await nextTurn();
  expect(labels).toEqual([undefined]);
  expect(warnings).toEqual([expect.stringMatching(/label of Orders\.order .*TimeoutError/)]);
});
