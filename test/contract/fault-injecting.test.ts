import type { IdempotencyStore, PurgingStore } from '../../src/engine/store.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  FaultInjectingStore,
  Gate,
  hang,
  hangAfter,
  ManualClock,
  pass,
  type StoreVerb,
  storeContract,
  throwBefore,
} from '../../src/testing/index.js';
import { verbsOf } from '../support/store-sabotage/index.js';

const claim = {
  id: 'id',
  owner: 'owner',
  fingerprint: '',
  leaseMs: 1000,
  ttlMs: 1000,
};

/** One call of every verb that finds something to do, on a store with the claim in flight. */
const CALLS: readonly (readonly [
  StoreVerb,
  (store: IdempotencyStore & PurgingStore) => unknown,
])[] = [
  ['acquire', (store) => store.acquire({ ...claim, id: 'new' })],
  ['extend', (store) => store.extend({ ...claim, leaseMs: 5000 })],
  ['complete', (store) => store.complete({ ...claim, reply: Buffer.from('reply') })],
  ['release', (store) => store.release(claim)],
  ['hold', (store) => store.hold({ ...claim, reason: 'reason' })],
  ['saveStep', (store) => store.saveStep({ ...claim, name: 'step', value: Buffer.from('value') })],
  ['issue', (store) => store.issue({ id: 'new', ttlMs: 1000 })],
  ['find', (store) => store.find(claim.id)],
  ['forget', (store) => store.forget('done')],
  ['purgeExpired', (store) => store.purgeExpired(10)],
];

/** The verbs that leave a trace. */
const WRITES = CALLS.filter(([verb]) => verb !== 'find');

function setUp() {
  const clock = new ManualClock();
  const inner = new MemoryStore({ clock });
  inner.issue({ id: 'done', ttlMs: 1000 });
  inner.acquire(claim);
  inner.issue({ id: 'expired', ttlMs: 0 });
  const content = (): unknown => [
    inner.size,
    inner.bytes,
    ...['id', 'new', 'done'].map((id) => inner.find(id)),
  ];
  return { clock, inner, content, store: new FaultInjectingStore(inner) };
}

/** Whether the promise has an answer after everything that can run has run. */
async function isSettled(promise: unknown): Promise<boolean> {
  let settled = false;
  const done = (): void => void (settled = true);
  Promise.resolve(promise).then(done, done);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('FaultInjectingStore without faults', () => {
  test('keeps the contract of the store that it wraps', async () => {
    const failed: string[] = [];
    for (const { name, run } of storeContract) {
      const clock = new ManualClock();
      const store = new FaultInjectingStore(new MemoryStore({ clock }));
      const elapse = (ms: number): Promise<void> => clock.advance(ms);
      await run({ store, other: store, tickMs: 4, elapse }).catch(() => failed.push(name));
    }
    expect(failed).toEqual([]);
  });

  test.each(CALLS)('answers %s at once where the store does', (_verb, call) => {
    const { store, inner } = setUp();
    const twin = setUp();
    const answer = call(store);
    expect(answer).not.toBeInstanceOf(Promise);
    expect(inCommon([answer])).toEqual(inCommon([call(twin.inner)]));
    expect(inner.size).toBe(twin.inner.size);
  });

  test('has a watch only where the store has one', () => {
    const { inner } = setUp();
    expect(new FaultInjectingStore(inner).watch).toBeDefined();
    const { watch: _watch, ...poor } = verbsOf(inner);
    expect(new FaultInjectingStore(poor).watch).toBeUndefined();
  });

  test('starts and closes the store, and is as volatile', async () => {
    const { inner } = setUp();
    const log: string[] = [];
    const store = new FaultInjectingStore({
      ...verbsOf(inner),
      isVolatile: true,
      start: (warn) => warn('old server'),
      close: () => void log.push('closed'),
    });
    await store.start((warning) => log.push(warning));
    await store.close();
    expect(log).toEqual(['old server', 'closed']);
    expect(store.isVolatile).toBe(true);
    expect(new FaultInjectingStore(verbsOf(inner)).isVolatile).toBeUndefined();
  });

  test('records every call with its argument', async () => {
    const { store } = setUp();
    store.next('extend', hang());
    const request = { ...claim, leaseMs: 1 };
    void store.extend(request);
    await store.find('id');
    expect(store.calls).toEqual([
      { verb: 'extend', argument: request },
      { verb: 'find', argument: 'id' },
    ]);
    expect([store.count(), store.count('extend'), store.count('acquire')]).toEqual([2, 1, 0]);
  });
});

describe('FaultInjectingStore', () => {
  test.each(CALLS)('failBefore keeps %s from the store', async (verb, call) => {
    const { store, content } = setUp();
    const before = content();
    store.next(verb, failBefore(new Error('down')));
    await expect(call(store)).rejects.toThrow('down');
    expect(content()).toEqual(before);
  });

  test.each(CALLS)('throwBefore throws from %s on the spot', (verb, call) => {
    const { store, content } = setUp();
    const before = content();
    store.next(verb, throwBefore(new Error('down')));
    expect(() => call(store)).toThrow('down');
    expect(content()).toEqual(before);
  });

  test.each(WRITES)('failAfter lets %s write and loses the answer', async (verb, call) => {
    const { store, content } = setUp();
    const twin = setUp();
    call(twin.inner);
    store.next(verb, failAfter(new Error('lost')));
    await expect(call(store)).rejects.toThrow('lost');
    expect(inCommon(content())).toEqual(inCommon(twin.content()));
  });

  test.each(CALLS)('hang keeps %s from the store and never answers', async (verb, call) => {
    const { store, content } = setUp();
    const before = content();
    store.next(verb, hang());
    expect(await isSettled(call(store))).toBe(false);
    expect(content()).toEqual(before);
  });

  test.each(WRITES)('hangAfter lets %s write and never answers', async (verb, call) => {
    const { store, content } = setUp();
    const before = content();
    store.next(verb, hangAfter());
    expect(await isSettled(call(store))).toBe(false);
    expect(content()).not.toEqual(before);
  });

  test.each(WRITES)(
    'delayUntil lets %s reach the store when the gate opens',
    async (verb, call) => {
      const { store, content } = setUp();
      const before = content();
      const gate = new Gate();
      store.next(verb, delayUntil(gate));
      const answer = call(store);
      await gate.reached();
      expect(await isSettled(answer)).toBe(false);
      expect(content()).toEqual(before);
      gate.open();
      expect(await answer).toBeTruthy();
      expect(content()).not.toEqual(before);
    },
  );

  test.each(WRITES)(
    'answerLate lets %s write at once and answer when the gate opens',
    async (verb, call) => {
      const { store, content } = setUp();
      const before = content();
      const gate = new Gate();
      store.next(verb, answerLate(gate));
      const answer = call(store);
      expect(content()).not.toEqual(before);
      await gate.reached();
      expect(await isSettled(answer)).toBe(false);
      gate.open();
      expect(await answer).toBeTruthy();
    },
  );

  test('spends queued faults one by one, before the permanent one', async () => {
    const { store } = setUp();
    store.always('find', failBefore(new Error('always')));
    store
      .next('find', failBefore(new Error('first')), pass)
      .next('find', failBefore(new Error('third')));
    await expect(store.find('id')).rejects.toThrow('first');
    expect(await store.find('id')).toBeDefined();
    await expect(store.find('id')).rejects.toThrow('third');
    await expect(store.find('id')).rejects.toThrow('always');
    await expect(store.find('id')).rejects.toThrow('always');
  });

  test('injures only the verb that is named, until it is healed', async () => {
    const { store } = setUp();
    store.always('find', failBefore()).always('extend', failBefore()).next('issue', failBefore());
    expect(store.forget('done')).toBe(true);
    store.heal('find');
    expect(store.find('id')).toMatchObject({ state: 'in-flight' });
    await expect(store.extend(claim)).rejects.toThrow('injected');
    store.heal();
    expect(store.extend(claim)).toBe(true);
    expect(store.issue({ id: 'new', ttlMs: 1 })).toBe(true);
  });
});

describe('Gate', () => {
  test('lets everybody through once it is open', async () => {
    const gate = new Gate();
    const first = gate.pass();
    expect(await isSettled(first)).toBe(false);
    gate.open();
    expect(await isSettled(first)).toBe(true);
    expect(await isSettled(gate.pass())).toBe(true);
  });

  test('tells when so many have reached it', async () => {
    const gate = new Gate();
    const two = gate.reached(2);
    void gate.pass();
    expect(await isSettled(two)).toBe(false);
    void gate.pass();
    expect(await isSettled(two)).toBe(true);
    expect(await isSettled(gate.reached(2))).toBe(true);
  });

  test('opens when a clock says so', async () => {
    const clock = new ManualClock();
    const gate = new Gate();
    gate.openAfter(clock, 3000);
    const passing = gate.pass();
    await clock.advance(2999);
    expect(await isSettled(passing)).toBe(false);
    await clock.advance(1);
    expect(await isSettled(passing)).toBe(true);
  });
});

/** What two stores with the same records have in common: tokens and times come from the moment each was made. */
function inCommon(content: unknown): unknown {
  const ownOfEach = new Set(['fencingToken', 'createdAt', 'claimedAt', 'heldAt', 'settledAt']);
  return JSON.parse(
    JSON.stringify(content, (key, value: unknown) => (ownOfEach.has(key) ? undefined : value)),
  );
}
