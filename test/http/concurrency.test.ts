import { Controller, Post, Scope } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import {
  IdempotencyService,
  Idempotent,
  MemoryStore,
  type IdempotencyEvent,
} from 'nestjs-idempotency';
import { IdempotencyGuard, IdempotencyInterceptor } from 'nestjs-idempotency/contracts';
import { FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import {
  boot,
  essence,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

const MANY = 500;
let runs = 0;
let gate = new Gate();

async function gated(): Promise<{ run: number }> {
  const run = ++runs;
  await gate.pass();
  return { run };
}

@Controller()
class Gated {
  @Idempotent()
  @Post('refusing')
  refusing(): Promise<unknown> {
    return gated();
  }

  @Idempotent({ wait: '20s' })
  @Post('waiting')
  waiting(): Promise<unknown> {
    return gated();
  }

  @Idempotent({ wait: '1s', lease: '1h', retryAfter: '3s' })
  @Post('waiting-shortly')
  waitingShortly(): Promise<unknown> {
    return gated();
  }

  @Idempotent({ wait: '20s' })
  @Post('failing-once')
  async failingOnce(): Promise<unknown> {
    const { run } = await gated();
    if (run === 1) throw new Error('the first one fails');
    return { run };
  }

  @Idempotent({ onDuplicate: 'reject', wait: '20s' })
  @Post('rejecting')
  rejecting(): Promise<unknown> {
    return gated();
  }
}

describe.each(PLATFORMS)('identical concurrent requests on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let clock: ManualClock | undefined;
  /** Calls that are about to claim, or have done so. */
  let arrived: number;

  async function start(): Promise<void> {
    store = new FaultInjectingStore(new MemoryStore());
    arrived = 0;
    const principal = (): undefined => void (arrived += 1);
    const idempotency = { store, principal };
    test = await boot(platform, { controllers: [Gated], idempotency, clock });
  }
  beforeEach(() => {
    runs = 0;
    gate = new Gate();
    clock = undefined;
  });
  afterEach(async () => {
    gate.open();
    await test.close();
  });

  const send = (path: string) => test.send(path, { key: 'same', body: { amount: 1 } });
  const sendMany = (path: string) => Array.from({ length: MANY }, () => send(path));

  it('run once: one is answered by the handler, the others are refused', async () => {
    await start();
    const replies = sendMany('/refusing');
    let refused = 0;
    for (const reply of replies)
      void reply.then(({ status }) => (refused += Number(status === 409)));
    await eventually(() => refused === MANY - 1);
    gate.open();
    const all = await Promise.all(replies);
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1);
    for (const reply of all.filter(({ status }) => status !== 201)) {
      expectProblem(reply, 409, 'IDEMPOTENCY_KEY_IN_USE');
      expect(reply.headers['retry-after']).toBe('1');
    }
    expect(runs).toBe(1);
  });

  it('run once and are all answered alike where they wait', async () => {
    await start();
    const waiting = new Set<string>();
    const replies = sendMany('/waiting');
    await gate.reached();
    // All of them wait, and none has been answered.
    await eventually(() => arrived === MANY);
    gate.open();
    const all = await Promise.all(replies);
    for (const reply of all) waiting.add(JSON.stringify(essence(reply)));
    expect([...waiting]).toHaveLength(1);
    expect(all[0]?.json()).toEqual({ run: 1 });
    expect(all.filter(({ headers }) => headers['idempotent-replayed'] === undefined)).toHaveLength(
      1,
    );
    expect(runs).toBe(1);
    // In one process they share one claim: the store is not asked for each of them.
    expect(store.count('acquire')).toBe(1);
  });

  it('are refused at the end of their wait', async () => {
    clock = new ManualClock();
    await start();
    const first = send('/waiting-shortly');
    await gate.reached();
    const timers = clock.pendingTimers;
    const waiting = send('/waiting-shortly');
    await eventually(() => clock!.pendingTimers > timers);
    await clock.advance(1_000);
    const refused = await waiting;
    expectProblem(refused, 409, 'IDEMPOTENCY_KEY_IN_USE');
    expect(refused.headers['retry-after']).toBe('3');
    gate.open();
    expectReplay(await first, await send('/waiting-shortly'));
    expect(runs).toBe(1);
  });

  it('hand the operation to one of those that wait when the first one fails', async () => {
    clock = new ManualClock();
    await start();
    const first = send('/failing-once');
    await gate.reached();
    const timers = clock.pendingTimers;
    const others = Array.from({ length: 20 }, () => send('/failing-once'));
    await eventually(() => clock!.pendingTimers >= timers + others.length);
    gate.open();
    expect((await first).status).toBe(500);
    const all = await Promise.all(others);
    expect(new Set(all.map(({ text }) => text))).toEqual(new Set(['{"run":2}']));
    expect(runs).toBe(2);
  });

  it('are told that they are duplicates where that is asked for', async () => {
    clock = new ManualClock();
    await start();
    const first = send('/rejecting');
    await gate.reached();
    const timers = clock.pendingTimers;
    const second = send('/rejecting');
    await eventually(() => clock!.pendingTimers > timers);
    gate.open();
    expect((await first).status).toBe(201);
    expectProblem(await second, 409, 'IDEMPOTENCY_DUPLICATE');
    expect(runs).toBe(1);
  });

  it('do not hold up other keys', async () => {
    await start();
    const first = send('/refusing');
    await gate.reached();
    const other = test.send('/refusing', { key: 'other' });
    await gate.reached(2);
    gate.open();
    expect((await first).status).toBe(201);
    expect((await other).status).toBe(201);
    expect(runs).toBe(2);
  });
});

@Idempotent({ retryAfter: '7s', onDuplicate: 'reject' })
@Controller('class')
class OnTheClass {
  @Post('covered')
  covered(): unknown {
    return { run: ++runs };
  }

  @Idempotent({ onDuplicate: 'replay' })
  @Post('both')
  both(): unknown {
    return { run: ++runs };
  }

  @Idempotent({ onDuplicate: 'replay' })
  @Post('nested')
  nested(): unknown {
    return { run: ++runs, inner: this.both() };
  }
}

@Idempotent()
@Controller({ path: 'scoped', scope: Scope.REQUEST })
class RequestScoped {
  private readonly made = ++runs;

  @Post()
  scoped(): unknown {
    return { made: this.made };
  }
}

@Controller('free')
class Unprotected {
  @Post()
  free(): unknown {
    return { run: ++runs };
  }
}

describe.each(PLATFORMS)('one call claims once on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let events: IdempotencyEvent['type'][];

  afterEach(() => test.close());

  async function start(withGlobals: boolean): Promise<void> {
    runs = 0;
    events = [];
    store = new FaultInjectingStore(new MemoryStore());
    test = await boot(platform, {
      controllers: [OnTheClass, RequestScoped, Unprotected],
      idempotency: { store },
      providers: withGlobals
        ? [
            { provide: APP_GUARD, useClass: IdempotencyGuard },
            { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
          ]
        : [],
      configure(app) {
        app.get(IdempotencyService).events$.subscribe(({ type }) => void events.push(type));
      },
    });
  }

  describe.each([
    ['with the decorator', false],
    ['with a global guard and interceptor beside it', true],
  ])('%s', (_name, withGlobals) => {
    beforeEach(() => start(withGlobals));

    it.each(['both', 'nested'])('on a method and its class: %s', async (path) => {
      const send = () => test.send(`/class/${path}`, { key: path });
      const first = await send();
      expect(first.status).toBe(201);
      expect(store.count('acquire')).toBe(1);
      expect(events).toEqual(['claimed', 'executed', 'stored']);
      expectReplay(first, await send());
    });

    it('on a class alone, with its options', async () => {
      const send = () => test.send('/class/covered', { key: 'covered' });
      expect((await send()).json()).toEqual({ run: 1 });
      expectProblem(await send(), 409, 'IDEMPOTENCY_DUPLICATE');
      expectProblem(await test.send('/class/covered'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
    });

    it('in a controller that is made for every request', async () => {
      const send = () => test.send('/scoped', { key: 'scoped' });
      expectReplay(await send(), await send());
      expect(store.count('complete')).toBe(1);
    });

    it('and not at all on a handler without the decorator', async () => {
      expect((await test.send('/free', { key: 'free' })).json()).toEqual({ run: 1 });
      expect((await test.send('/free', { key: 'free' })).json()).toEqual({ run: 2 });
      expect(store.count()).toBe(0);
    });
  });
});
