import { Body, Controller, Post } from '@nestjs/common';
import {
  type AbandonedCall,
  body,
  type IdempotencyEvent,
  IdempotencyService,
  Idempotent,
  MemoryStore,
  recoveredReply,
} from 'nestjs-idempotency';
import type { ListRequest, RecordPage } from 'nestjs-idempotency/contracts';
import { Gate, ManualClock } from 'nestjs-idempotency/testing';
import { recordId } from '../../src/keys/record-id.js';
import { boot, bootError, expectProblem, type TestApp } from '../support/http.js';

const LEASE_MS = 10_000;
const MINUTE_MS = 60_000;
const TTL_MS = 24 * 60 * MINUTE_MS;
const BY_SWEEP = { strategy: 'sweep', by: 'sweep', reason: 'abandoned' };

describe('a sweep', () => {
  let clock: ManualClock;
  let store: MemoryStore;
  let tests: TestApp[];
  let events: IdempotencyEvent[];
  let asked: AbandonedCall[];
  let answer: (call: AbandonedCall) => unknown;
  let runs: string[];

  const ask = (call: AbandonedCall): Promise<'rerun'> => {
    asked.push(call);
    return answer(call) as Promise<'rerun'>;
  };

  @Controller()
  class Payments {
    @Idempotent({ lease: LEASE_MS, label: body('orderNo'), onAbandoned: ask })
    @Post('payments')
    pay(@Body() { orderNo }: { orderNo: string }) {
      runs.push(orderNo);
      return { paid: orderNo };
    }

    @Idempotent({ lease: LEASE_MS, onAbandoned: 'hold' })
    @Post('refunds')
    refund() {
      runs.push('refund');
    }

    @Idempotent({ lease: LEASE_MS, onAbandoned: ask, maxAttempts: 2 })
    @Post('twice')
    twice() {
      runs.push('twice');
    }

    @Idempotent({ lease: LEASE_MS })
    @Post('orders')
    order() {
      runs.push('order');
    }
  }

  async function start(options: object = { sweep: true }, own: ManualClock = clock) {
    const test = await boot('express', {
      controllers: [Payments],
      idempotency: { store, ...options },
      clock: own,
    });
    const service = test.app.get(IdempotencyService);
    service.events$.subscribe((event) => events.push(event));
    tests.push(test);
    return { ...test, service };
  }

  /** What a process leaves behind that died while it handled a call. */
  function abandon(path: string, key: string, label = 'order 7'): string {
    const scope = `POST /${path}`;
    const id = recordId(scope, undefined, key);
    const claim = { id, owner: `dead ${key}`, fingerprint: '', leaseMs: LEASE_MS, ttlMs: TTL_MS };
    store.acquire({ ...claim, scope, label });
    return id;
  }

  const retry = ({ send }: TestApp, path: string, key: string) =>
    send(`/${path}`, { key, body: { orderNo: 'order 7' } });

  beforeEach(() => {
    clock = new ManualClock();
    store = new MemoryStore({ clock });
    [tests, events, asked, runs] = [[], [], [], []];
    answer = () => recoveredReply({ paid: 'found out' }, { status: 201 });
  });
  afterEach(async () => {
    for (const test of tests) await test.close();
  });

  it('asks about an abandoned operation and records the answer, before anybody retries', async () => {
    const test = await start();
    const id = abandon('payments', 'k1');
    await clock.advance(MINUTE_MS);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      scope: 'POST /payments',
      label: 'order 7',
      attempt: 2,
      isSweep: true,
    });
    expect(await test.service.find({ id })).toMatchObject({ state: 'completed' });
    const settled = { type: 'settled', scope: 'POST /payments', id, decision: 'replied' };
    expect(events).toContainEqual({ ...settled, ...BY_SWEEP });
    // Nobody called, so nobody is counted as a call.
    const types = events.map(({ type }) => type);
    expect(types).toEqual(['taken-over', 'stored', 'settled']);
    const reply = await retry(test, 'payments', 'k1');
    expect(reply.status).toBe(201);
    expect(reply.json()).toEqual({ paid: 'found out' });
    expect([runs, asked.length]).toEqual([[], 1]);
  });

  it('holds what is to be held, so that the alarm does not wait for a retry', async () => {
    const test = await start();
    const id = abandon('refunds', 'k1');
    await clock.advance(MINUTE_MS);
    expect(await test.service.find({ id })).toMatchObject({ state: 'held', reason: 'abandoned' });
    expect(events).toContainEqual(expect.objectContaining({ type: 'held', id }));
    expectProblem(await retry(test, 'refunds', 'k1'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
  });

  it("runs nothing: with 'rerun', the next retry does", async () => {
    const test = await start();
    answer = () => 'rerun';
    const id = abandon('payments', 'k1');
    await clock.advance(MINUTE_MS);
    expect(runs).toEqual([]);
    // The sweep has run nothing, so it is no attempt.
    expect(await test.service.find({ id })).toMatchObject({ state: 'released', attempt: 1 });
    expect((await retry(test, 'payments', 'k1')).status).toBe(201);
    expect([runs, asked.length]).toEqual([['order 7'], 1]);
  });

  it.each(['key', 'principal'] as const)(
    'leaves an operation to its retry if the answer needs the %s, and says so once',
    async (name) => {
      const test = await start({});
      answer = (call) => (call.isSweep ? call[name] : recoveredReply({ paid: String(call.key) }));
      const id = abandon('payments', 'k1');
      let failures = 0;
      while (failures < 2) {
        await clock.advance(2 * LEASE_MS);
        failures += (await test.service.sweep()).failed;
      }
      const complaints = test.complaints.filter((line) => line.includes('POST /payments'));
      expect(complaints).toEqual([expect.stringContaining(`onAbandoned, ${name} of its call`)]);
      await clock.advance(1);
      expect(await test.service.find({ id })).toMatchObject({ isAbandoned: true });
      // At once: the lease of the question does not keep the retry out.
      expect((await retry(test, 'payments', 'k1')).json()).toEqual({ paid: 'k1' });
      expect(runs).toEqual([]);
    },
  );

  it('asks less and less often while the answer fails', async () => {
    await start();
    answer = () => {
      throw new Error('the provider is down');
    };
    abandon('payments', 'k1');
    await clock.advance(30 * MINUTE_MS);
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.length).toBeLessThan(8);
  });

  it('settles the others of a scope while some answers always fail', async () => {
    const test = await start({});
    const failing = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((one) =>
      abandon('payments', one, `bad ${one}`),
    );
    const good = abandon('payments', 'good', 'order 7');
    answer = ({ label = '' }) => {
      if (label.startsWith('bad')) throw new Error(`no answer about ${label}`);
      return recoveredReply('found out');
    };
    await clock.advance(2 * LEASE_MS);
    const results = [];
    for (let i = 0; i < 3; i += 1) {
      results.push(await test.service.sweep());
      await clock.advance(2 * LEASE_MS);
    }
    expect(await test.service.find({ id: good })).toMatchObject({ state: 'completed' });
    // What they ask may be down: not all of them in one sweep.
    expect(Math.max(...results.map(({ failed }) => failed))).toBeLessThan(4);
    const left = await test.service.list({ state: 'abandoned' });
    expect(left.records.map(({ id }) => id).sort()).toEqual([...failing].sort());
  });

  it('logs a failing scope once until it works again, and no value of the error', async () => {
    const test = await start({});
    const fail = (text: string) => async (): Promise<never> => {
      throw new Error(`card "4242 4242" of ${text}@shop.example was declined`);
    };
    const sweep = async (): Promise<void> => {
      await clock.advance(2 * LEASE_MS);
      await test.service.sweep();
    };
    const logged = (): string[] =>
      test.complaints.filter((line) => line.includes('POST /payments'));
    for (const name of ['ann', 'bob']) {
      abandon('payments', name);
      answer = fail(name);
      await sweep();
    }
    expect(logged()).toHaveLength(1);
    expect(logged()[0]).toContain('Error: card … of … was declined');
    answer = () => recoveredReply('found out');
    for (let i = 0; i < 4; i += 1) await sweep();
    abandon('payments', 'eve');
    answer = fail('eve');
    await sweep();
    expect(logged()).toHaveLength(2);
  });

  it('goes on with the other data sources while one is down, and says that it did not see all', async () => {
    const parts = new Map(['down', 'up'].map((name) => [name, new MemoryStore({ clock })]));
    const own = Object.assign(store, {
      sources: [...parts.keys()],
      recordsOf: async (name: string) => parts.get(name)!,
    });
    const test = await start({ store: own });
    const listed = parts.get('down')!;
    const list = listed.list.bind(listed);
    listed.list = () => {
      throw new Error('the database is down');
    };
    const [id, late] = ['k1', 'k2'].map((key) => recordId('POST /payments', undefined, key));
    const dead = { owner: 'dead', fingerprint: '', leaseMs: LEASE_MS, ttlMs: TTL_MS };
    parts.get('up')!.acquire({ ...dead, id: id!, scope: 'POST /payments' });
    listed.acquire({ ...dead, id: late!, scope: 'POST /payments' });
    await clock.advance(2 * LEASE_MS);
    expect(await test.service.sweep()).toMatchObject({ replied: 1, isComplete: false });
    expect(parts.get('up')!.find(id!)).toMatchObject({ state: 'completed' });
    expect(test.complaints.filter((line) => line.includes('data source down'))).toHaveLength(1);
    listed.list = list;
    expect(await test.service.sweep()).toMatchObject({ replied: 1, isComplete: true });
    expect(listed.find(late!)).toMatchObject({ state: 'completed' });
  });

  it('leaves alone what is alive, paused for less than a lease, or of nobody here', async () => {
    const test = await start({});
    const id = abandon('payments', 'k1');
    const other = abandon('elsewhere', 'k2');
    const order = abandon('orders', 'k3');
    await clock.advance(2 * LEASE_MS - 1);
    expect(await test.service.sweep()).toMatchObject({ isDone: true, replied: 0, failed: 0 });
    await clock.advance(1);
    expect(await test.service.sweep()).toMatchObject({ replied: 1, isComplete: true });
    for (const one of [other, order])
      expect(await test.service.find({ id: one })).toMatchObject({ isAbandoned: true });
    expect(await test.service.find({ id })).toMatchObject({ state: 'completed' });
  });

  it('does not use up the attempt that a retry has left, and holds after the last', async () => {
    const test = await start({});
    const id = abandon('twice', 'k1');
    await clock.advance(2 * LEASE_MS);
    await test.service.sweep();
    expect([asked.length, await test.service.find({ id })]).toMatchObject([
      0,
      { isAbandoned: true, attempt: 1 },
    ]);
    const claim = { id, owner: 'dead again', fingerprint: '', leaseMs: LEASE_MS, ttlMs: TTL_MS };
    expect(store.acquire({ ...claim, scope: 'POST /twice' })).toMatchObject({ attempt: 2 });
    await clock.advance(2 * LEASE_MS);
    expect(await test.service.sweep()).toMatchObject({ held: 1 });
    expect(events.map(({ type }) => type)).toContain('exhausted');
    expect(asked).toEqual([]);
  });

  it('is done by one process at a time, and by another one when that has stopped', async () => {
    const [first, second] = [await start(), await start()];
    for (let i = 0; i < 20; i += 1) abandon('payments', `k${i}`);
    await clock.advance(MINUTE_MS);
    expect(asked).toHaveLength(20);
    expect(new Set(events.filter(({ type }) => type === 'settled')).size).toBe(20);
    const results = [await first.service.sweep(), await second.service.sweep()];
    expect(results.filter(({ isDone }) => isDone)).toHaveLength(1);
    await first.close();
    tests = tests.filter((one) => one !== tests[0]);
    abandon('payments', 'later');
    await clock.advance(3 * MINUTE_MS);
    expect(asked).toHaveLength(21);
  });

  it('that was frozen in the middle leaves nothing behind', async () => {
    const frozen = new ManualClock();
    const first = await start({}, frozen);
    const gate = new Gate();
    answer = async () => {
      await gate.pass();
      return 'rerun';
    };
    const id = abandon('payments', 'k1');
    abandon('payments', 'k2');
    await clock.advance(2 * LEASE_MS);
    const stuck = first.service.sweep();
    await gate.reached();
    answer = () => recoveredReply('found out');
    const second = await start();
    await clock.advance(5 * MINUTE_MS);
    expect(await second.service.find({ id })).toMatchObject({ state: 'completed', attempt: 3 });
    expect((await second.service.list({ state: 'abandoned' })).records).toEqual([]);
    gate.open();
    await stuck;
    expect(await second.service.find({ id })).toMatchObject({ state: 'completed', attempt: 3 });
  });

  it('goes on where the time of the one before was over', async () => {
    const test = await start({});
    for (let i = 0; i < 5; i += 1) abandon('payments', `k${i}`);
    await clock.advance(2 * LEASE_MS);
    answer = async () => {
      await clock.advance(400);
      return recoveredReply('found out');
    };
    const limits = { time: '1s', batch: 2, pause: 0 } as const;
    const first = await test.service.sweep(limits);
    expect(first).toMatchObject({ replied: 3, isComplete: false });
    expect(await test.service.sweep(limits)).toMatchObject({ replied: 2 });
    expect(asked).toHaveLength(5);
  });

  it('loses no step of an operation that a retry has released meanwhile', async () => {
    class LateList extends MemoryStore {
      override list(request: ListRequest): RecordPage {
        const page = super.list(request);
        for (const { id } of page.records) {
          const own = { id, owner: 'retry', leaseMs: LEASE_MS, ttlMs: TTL_MS };
          this.acquire({ ...own, fingerprint: '' });
          this.saveStep({ ...own, name: 'charge', value: Buffer.from('1') });
          this.release(own);
        }
        return page;
      }
    }
    store = new LateList({ clock });
    const test = await start({});
    const id = abandon('payments', 'k1');
    await clock.advance(2 * LEASE_MS);
    expect(await test.service.sweep()).toMatchObject({ replied: 0 });
    await clock.advance(MINUTE_MS);
    const left = { state: 'released', steps: ['charge'] };
    expect([asked.length, await test.service.find({ id })]).toMatchObject([0, left]);
  });

  it.each([
    [{ every: 0 }, 'sweep.every'],
    [{ batch: 1_001 }, 'sweep.batch'],
    [{ at: '1m' }, 'sweep.at'],
    ['often', 'sweep'],
  ])('refuses the options %j', async (sweep, option) => {
    const idempotency = { store, sweep: sweep as never };
    const error = await bootError('express', { controllers: [Payments], idempotency });
    expect(error.message).toContain(`"${option}"`);
  });
});
