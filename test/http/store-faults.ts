import { Controller, Post } from '@nestjs/common';
import {
  type IdempotencyEvent,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
} from 'nestjs-idempotency';
import {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  type Fault,
  FaultInjectingStore,
  Gate,
  hang,
  hangAfter,
  ManualClock,
  throwBefore,
} from 'nestjs-idempotency/testing';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  type Platform,
  type Reply,
  type TestApp,
} from '../support/http.js';

const STORE_TIMEOUT_MS = 2_000;
const LEASE_MS = 30_000;
let runs = 0;
let charges = 0;
let gate = new Gate();
let lastSignal: AbortSignal | undefined;

@Controller()
class Shop {
  @Idempotent({ retryAfter: '4s' })
  @Post('pay')
  pay(): unknown {
    return { run: ++runs };
  }

  @Idempotent({ onStoreFailure: 'proceed' })
  @Post('proceed')
  proceed(@Operation() operation: IdempotentOperation): unknown {
    return { run: ++runs, attempt: operation.attempt, token: operation.fencingToken };
  }

  @Idempotent()
  @Post('fails')
  fails(): unknown {
    if (++runs === 1) throw new Error('the handler fails');
    return { run: runs };
  }

  @Idempotent({ onRecordFailure: 'fail' })
  @Post('recorded')
  recorded(): object {
    return { run: ++runs };
  }

  @Idempotent()
  @Post('holds')
  async holds(@Operation() operation: IdempotentOperation): Promise<unknown> {
    runs += 1;
    await operation.hold('unclear');
    return { held: true };
  }

  @Idempotent()
  @Post('steps')
  async steps(@Operation() operation: IdempotentOperation): Promise<unknown> {
    runs += 1;
    const charge = await operation.step('charge', () => ++charges);
    if (runs === 1) throw new Error('after the charge');
    return { charge, run: runs };
  }

  @Idempotent()
  @Post('slow')
  async slow(@Operation() operation: IdempotentOperation): Promise<unknown> {
    lastSignal = operation.signal;
    const run = ++runs;
    await gate.pass();
    return { run };
  }
}

const FAULTS: [name: string, fault: () => Fault][] = [
  ['fails', () => failBefore(new Error('internal: 10.0.0.7 refused'))],
  ['throws', () => throwBefore(new Error('internal: 10.0.0.7 refused'))],
  ['fails after having written', () => failAfter(new Error('internal: 10.0.0.7 reset'))],
  ['hangs', hang],
  ['hangs after having written', hangAfter],
];

// A rejection that nobody handles fails the test it falls into: Jest sees to that.
export function describeStoreFaults(rows: readonly Platform[]): void {
  describe.each(rows)('a store that fails, on %s', (platform) => {
    let test: TestApp;
    let store: FaultInjectingStore;
    let clock: ManualClock;
    let events: IdempotencyEvent[];

    beforeEach(async () => {
      runs = 0;
      charges = 0;
      gate = new Gate();
      events = [];
      clock = new ManualClock();
      store = new FaultInjectingStore(new MemoryStore({ clock }));
      test = await boot(platform, {
        controllers: [Shop],
        clock,
        idempotency: { store, storeTimeout: STORE_TIMEOUT_MS },
        configure: (app) =>
          app.get(IdempotencyService).events$.subscribe((event) => void events.push(event)),
      });
    });
    afterEach(async () => {
      gate.open();
      store.heal();
      // Shutting down waits for background work on the same clock.
      const closed = test.close();
      await clock.advance(10_000);
      await closed;
    });

    const send = (path: string, key = 'k') => test.send(path, { key });
    const find = (path: string) =>
      test.app.get(IdempotencyService).find({ scope: `POST ${path}`, key: 'k' });
    const types = () => events.map(({ type }) => type);

    /** The reply, moving the clock on as far as it needs, but no further than the time-out. */
    async function within(ms: number, reply: Promise<Reply>): Promise<Reply> {
      let isThere = false;
      void reply.finally(() => (isThere = true));
      const start = clock.now();
      await eventually(async () => {
        if (!isThere && clock.now() - start < ms && clock.pendingTimers > 0)
          await clock.advance(100);
        return isThere;
      });
      return reply;
    }

    describe.each(FAULTS)('when a claim %s', (_name, fault) => {
      it('answers 503 within the time-out, and the retry runs', async () => {
        store.next('acquire', fault());
        const refused = await within(STORE_TIMEOUT_MS, send('/pay'));
        expectProblem(refused, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
        expect(refused.headers['retry-after']).toBe('4');
        expect(refused.json()).toMatchObject({ retryable: true });
        expect(refused.text).not.toContain('internal');
        expect(runs).toBe(0);
        const retry = await within(STORE_TIMEOUT_MS, send('/pay'));
        expect(retry.json()).toEqual({ run: 1 });
        expectReplay(retry, await send('/pay'));
        expect(events.find(({ type }) => type === 'rejected')).toMatchObject({
          code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
          cause: expect.any(Error),
        });
      });

      it("runs without protection, and says so, with onStoreFailure: 'proceed'", async () => {
        store.always('acquire', fault());
        const reply = await within(STORE_TIMEOUT_MS, send('/proceed'));
        expect(reply.json()).toEqual({ run: 1, attempt: 1, token: 0 });
        expect(reply.headers).not.toHaveProperty('idempotent-replayed');
        expect(types()).toEqual(['unprotected']);
      });
    });

    it('gives a claim back that is granted after the time-out, and runs nothing', async () => {
      const late = new Gate();
      store.next('acquire', answerLate(late));
      expectProblem(
        await within(STORE_TIMEOUT_MS, send('/pay')),
        503,
        'IDEMPOTENCY_STORE_UNAVAILABLE',
      );
      late.open();
      await eventually(async () => (await find('/pay'))?.state === 'released');
      expect(runs).toBe(0);
      expect((await send('/pay')).json()).toEqual({ run: 1 });
    });

    it('gives a claim back that is written after the time-out, and runs nothing', async () => {
      const late = new Gate();
      store.next('acquire', delayUntil(late));
      expectProblem(
        await within(STORE_TIMEOUT_MS, send('/pay')),
        503,
        'IDEMPOTENCY_STORE_UNAVAILABLE',
      );
      late.open();
      await eventually(async () => (await find('/pay'))?.state === 'released');
      expect(runs).toBe(0);
      expect((await send('/pay')).json()).toEqual({ run: 1 });
    });

    it('answers every duplicate that shares the claim', async () => {
      store.next('acquire', hang());
      const replies = Array.from({ length: 10 }, () => send('/pay'));
      for (const reply of replies) {
        const { status } = await within(STORE_TIMEOUT_MS, reply);
        expect(status).toBe(503);
      }
      expect(runs).toBe(0);
    });

    describe.each(FAULTS)('when the record of a reply %s', (_name, fault) => {
      it('sends the reply all the same, and records it when the store is back', async () => {
        store.always('complete', fault());
        const first = await within(STORE_TIMEOUT_MS, send('/pay'));
        expect(first).toMatchObject({ status: 201, text: '{"run":1}' });
        expectReplay(first, await send('/pay'));
        expect(types()).toContain('completion-failed');
        store.heal();
        await eventually(async () => {
          await clock.advance(5_000);
          return types().includes('stored');
        });
        expect(await find('/pay')).toMatchObject({ state: 'completed', attempt: 1 });
        expectReplay(first, await send('/pay'));
        expect(runs).toBe(1);
      });
    });

    describe.each(FAULTS)("with onRecordFailure: 'fail', when the record %s", (_name, fault) => {
      it('sends 503 and no reply, which a retry gets when the store is back', async () => {
        store.always('complete', fault());
        const first = await within(STORE_TIMEOUT_MS, send('/recorded'));
        expectProblem(first, 503, 'IDEMPOTENCY_RESULT_PENDING');
        expect(first.text).not.toContain('{"run":1}');
        store.heal();
        await eventually(async () => {
          await clock.advance(5_000);
          return types().includes('stored');
        });
        const retry = await send('/recorded');
        expect(retry).toMatchObject({ status: 201, text: '{"run":1}' });
        expect(retry.headers['idempotent-replayed']).toBe('true');
        expect(runs).toBe(1);
      });
    });

    it('keeps the claim alive until the reply is recorded', async () => {
      store.always('complete', failBefore());
      await send('/pay');
      await clock.advance(10 * LEASE_MS);
      const record = await find('/pay');
      expect(record?.state).toBe('in-flight');
      expect(record?.leaseRemainingMs).toBeGreaterThan(0);
    });

    describe.each(FAULTS)('when giving a claim back %s', (_name, fault) => {
      it("sends the handler's failure, and the retry runs when the store is back", async () => {
        store.next('release', fault());
        const first = await within(STORE_TIMEOUT_MS, send('/fails'));
        expect(first.status).toBe(500);
        expect(first.text).not.toContain('internal');
        await eventually(async () => {
          await clock.advance(1_000);
          return (await find('/fails'))?.state === 'released';
        });
        expect((await send('/fails')).json()).toEqual({ run: 2 });
      });
    });

    describe.each(FAULTS)('when a hold %s', (_name, fault) => {
      it('sends the reply, and holds when the store is back', async () => {
        store.next('hold', fault());
        const first = await within(STORE_TIMEOUT_MS, send('/holds'));
        expect(first).toMatchObject({ status: 201, text: '{"held":true}' });
        await eventually(async () => {
          await clock.advance(1_000);
          return (await find('/holds'))?.state === 'held';
        });
        expectProblem(await send('/holds'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
        expect(runs).toBe(1);
      });
    });

    describe.each(FAULTS)('when the record of a step %s', (_name, fault) => {
      it('does not run the step twice', async () => {
        store.next('saveStep', fault());
        expect((await within(STORE_TIMEOUT_MS, send('/steps'))).status).toBe(500);
        await eventually(async () => {
          await clock.advance(1_000);
          return (await find('/steps'))?.state === 'released';
        });
        expect((await send('/steps')).json()).toEqual({ charge: 1, run: 2 });
        expect(charges).toBe(1);
      });
    });

    describe.each(FAULTS)('when a renewal %s', (_name, fault) => {
      it('goes on, and renews the next time', async () => {
        store.next('extend', fault());
        const first = send('/slow');
        await gate.reached();
        for (let third = 0; third < 12; third++) await clock.advance(LEASE_MS / 3);
        expectProblem(await send('/slow'), 409, 'IDEMPOTENCY_KEY_IN_USE');
        gate.open();
        expect((await first).json()).toEqual({ run: 1 });
        expect(lastSignal?.aborted).toBe(false);
        expect(runs).toBe(1);
      });
    });

    describe('for so long that the lease is lost', () => {
      /** The first call goes on behind the gate, and nobody renews its lease any more. */
      async function loseLease(): Promise<{ first: Promise<Reply> }> {
        store.always('extend', failBefore());
        const first = send('/slow');
        await gate.reached();
        expect(lastSignal?.aborted).toBe(false);
        const signal = lastSignal;
        await clock.advance(2 * LEASE_MS);
        expect(signal?.aborted).toBe(true);
        store.heal();
        return { first };
      }

      it("answers the first client with the winner's reply", async () => {
        const { first } = await loseLease();
        const firstGate = gate;
        gate = new Gate();
        gate.open();
        const second = await send('/slow');
        expect(second.json()).toEqual({ run: 2 });
        firstGate.open();
        expectReplay(second, await first);
        expectReplay(second, await send('/slow'));
        expect(types()).toEqual(expect.arrayContaining(['lease-lost', 'taken-over']));
      });

      it('answers the first client 409 while the winner still runs', async () => {
        const { first } = await loseLease();
        const firstGate = gate;
        gate = new Gate();
        const second = send('/slow');
        await gate.reached();
        firstGate.open();
        const lost = await first;
        expectProblem(lost, 409, 'IDEMPOTENCY_KEY_IN_USE');
        expect(lost.headers['retry-after']).toBe('1');
        gate.open();
        expect((await second).json()).toEqual({ run: 2 });
        expectReplay(await second, await send('/slow'));
      });

      it('records the reply after all when nobody took over', async () => {
        const { first } = await loseLease();
        gate.open();
        expect((await first).json()).toEqual({ run: 1 });
        expectReplay(await first, await send('/slow'));
        expect(runs).toBe(1);
      });
    });

    it.each(['find', 'forget'] as const)(
      'answers operators within the time-out: %s',
      async (verb) => {
        store.always(verb, hang());
        const service = test.app.get(IdempotencyService);
        const answer = service[verb]({ scope: 'POST /pay', key: 'k' }).catch(
          (error: unknown) => error,
        );
        await clock.advance(STORE_TIMEOUT_MS);
        expect(await answer).toMatchObject({ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' });
      },
    );

    it('is answered as unavailable when the store is full', async () => {
      await test.close();
      test = await boot(platform, {
        controllers: [Shop],
        clock,
        idempotency: { store: new MemoryStore({ maxRecords: 1, clock }) },
      });
      expect((await send('/pay', 'one')).status).toBe(201);
      expectProblem(await send('/pay', 'two'), 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
      expect((await send('/pay', 'one')).headers['idempotent-replayed']).toBe('true');
      expect(runs).toBe(1);
    });
  });
}
