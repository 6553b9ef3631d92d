import type { NestInterceptor } from '@nestjs/common';
import { type IdempotencyEvent, MemoryStore } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { defer, from, type Observable, of, retry, timeout, timer } from 'rxjs';
import { eventually } from '../support/http.js';
import { bootTarget, type Target, TARGETS } from './support/targets.js';

const PATIENCE_MS = 40;

let runs = 0;
let events: string[] = [];
let storeGate: Gate | undefined;
let innerGate: Gate | undefined;
let workGate: Gate | undefined;

/** Answers late, but within the time that a store has. */
class SlowStore extends MemoryStore {
  override acquire(
    request: Parameters<MemoryStore['acquire']>[0],
  ): ReturnType<MemoryStore['acquire']> {
    const answer = super.acquire(request);
    return storeGate === undefined
      ? answer
      : (storeGate.pass().then(() => answer) as unknown as ReturnType<MemoryStore['acquire']>);
  }
}

const slowInside: NestInterceptor = {
  intercept: async (_context, next) => {
    await innerGate?.pass();
    return next.handle();
  },
};

function giveUp(source: Observable<unknown>): Observable<unknown> {
  return source.pipe(timeout({ each: PATIENCE_MS, with: () => of('too slow') }));
}

const TIME_OUT: NestInterceptor = { intercept: (_context, next) => giveUp(next.handle()) };

/** Does not even wait for a turn. */
const TURNED_AWAY: NestInterceptor = {
  intercept: (_context, next) => {
    next.handle().subscribe().unsubscribe();
    return of('turned away');
  },
};

async function work(): Promise<string> {
  const run = ++runs;
  await workGate?.pass();
  return `run ${run}`;
}

describe.each(TARGETS)('a call that nobody waits for any more: %s', (name) => {
  let target: Target;

  async function start(outer: NestInterceptor | undefined, doWork: () => unknown = work) {
    target = await bootTarget(name, {
      work: doWork,
      outer,
      inner: slowInside,
      store: new SlowStore(),
      // What was given back has used up no attempt.
      options: { lease: '1s', maxAttempts: 1 },
    });
    target.service.events$.subscribe(({ type }: IdempotencyEvent) => events.push(type));
  }

  beforeEach(() => {
    runs = 0;
    events = [];
    storeGate = undefined;
    innerGate = undefined;
    workGate = undefined;
  });
  afterEach(async () => {
    for (const gate of [storeGate, innerGate, workGate]) gate?.open();
    await target.close();
  });

  it('gives its claim back when the store answers, and does not run', async () => {
    await start(TIME_OUT);
    const gate = (storeGate = new Gate());
    expect(await target.call('k')).toContain('too slow');
    storeGate = undefined;
    gate.open();
    await eventually(async () => (await target.state('k')) !== 'in-flight');
    expect({ runs, last: events.at(-1) }).toEqual({ runs: 0, last: 'released' });
    expect(await target.call('k')).toBe('ok run 1');
  });

  it('gives its claim back while it is on its way to the handler, and does not run', async () => {
    await start(TIME_OUT);
    const gate = (innerGate = new Gate());
    expect(await target.call('k')).toContain('too slow');
    await eventually(async () => (await target.state('k')) !== 'in-flight');
    innerGate = undefined;
    gate.open();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(runs).toBe(0);
    expect(await target.call('k')).toBe('ok run 1');
  });

  it('claims nothing, or gives it back, when it is turned away at once', async () => {
    await start(TURNED_AWAY);
    expect(await target.call('k')).toBe('ok turned away');
    await eventually(async () => (await target.state('k')) !== 'in-flight');
    expect(runs).toBe(0);
  });

  it('goes on with a new claim when somebody comes back to it', async () => {
    let tries = 0;
    await start({
      intercept: (_context, next) =>
        defer(() =>
          tries++ === 0 ? next.handle().pipe(timeout(PATIENCE_MS)) : next.handle(),
        ).pipe(retry({ count: 1, delay: () => from(Promise.resolve((innerGate = undefined))) })),
    });
    const gate = (innerGate = new Gate());
    expect(await target.call('k')).toBe('ok run 1');
    gate.open();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await target.call('k')).toMatch(/run 1/);
    expect(runs).toBe(1);
  });

  it.each([
    ['a promise', (): unknown => work()],
    ['an observable', (): unknown => defer(work)],
    ['a promise of an observable', async (): Promise<unknown> => Promise.resolve(defer(work))],
  ])('ends with its handler, if that has begun: %s', async (_name, doWork) => {
    await start(TIME_OUT, doWork);
    workGate = new Gate();
    expect(await target.call('k')).toContain('too slow');
    expect(runs).toBe(1);
    expect(await target.state('k')).toBe('in-flight');
    expect(await target.call('k')).toContain('IDEMPOTENCY_KEY_IN_USE');
    workGate.open();
    await eventually(async () => (await target.state('k')) === 'completed');
    await target.call('k');
    expect(runs).toBe(1);
  });

  it.each([
    ['gives up', (source: Observable<unknown>) => source.pipe(timeout(PATIENCE_MS))],
    ['makes the best of it', giveUp],
  ])('ends with its handler when somebody %s further in', async (_name, change) => {
    const inner: NestInterceptor = { intercept: (_context, next) => change(next.handle()) };
    target = await bootTarget(name, { work, inner });
    workGate = new Gate();
    await target.call('k');
    expect(runs).toBe(1);
    expect(await target.call('k')).toContain('IDEMPOTENCY_KEY_IN_USE');
    workGate.open();
    await eventually(async () => (await target.state('k')) === 'completed');
    expect(await target.call('k')).toContain('IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
  });

  it('is renewed by nobody once it is over', async () => {
    await start(TIME_OUT);
    const gate = (storeGate = new Gate());
    await target.call('k');
    storeGate = undefined;
    gate.open();
    await eventually(async () => (await target.state('k')) === 'released');
    // Two leases later it is as it was.
    await new Promise((resolve) => timer(2_000).subscribe(resolve));
    expect(await target.state('k')).toBe('released');
    expect(await target.call('k')).toBe('ok run 1');
  });
});
