import type { IdempotencyStore } from '../../src/engine/store.js';
import { answerLate, failAfter, failBefore, Gate } from '../../src/testing/index.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  LEASE_MS,
  newWorld,
  settled,
  tally,
  type World,
} from '../support/engine.js';

expectNothingLeft();

const WAIT_MS = 5_000;
const WAITS = { waitMs: WAIT_MS };

/** The verbs of a store that cannot call back. */
function withoutWatch(store: IdempotencyStore): IdempotencyStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'watch') return undefined;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('duplicates that wait in one process', () => {
  test('get the reply when it is there, without asking the store', async () => {
    const { process, store } = newWorld();
    const claim = await process.claim();
    const waiting = Array.from({ length: 10 }, () => process.ask(WAITS));
    await settled();
    await claim.complete(bytes('paid'));
    expect(tally(await Promise.all(waiting))).toEqual({ 'replay paid': 10 });
    expect(store.count()).toBe(2);
  });

  test('wake without time passing', async () => {
    const { process, clock } = newWorld();
    const claim = await process.claim();
    const waiting = process.ask(WAITS);
    await settled();
    await claim.complete(bytes('paid'));
    await waiting;
    expect(clock.now()).toBe(0);
  });

  test('are refused when their time is over, not before', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const waiting = follow(world.process.begin(WAITS));
    await world.advance(WAIT_MS - 1);
    expect(waiting.value).toBeUndefined();
    await world.advance(1);
    expect(waiting.value).toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE', retryAfterMs: 1_000 });
    await claim.complete(bytes('paid'));
  });

  test('do not stay on the list of a handler that outlives them', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    for (let round = 0; round < 3; round += 1) {
      const waiting = world.process.ask(WAITS);
      await world.advance(WAIT_MS);
      await waiting;
    }
    const [local] = world.process.engine['locals'].values();
    expect(local?.['waiters']?.size).toBe(0);
    await claim.release();
  });

  test('go on when the first one fails: exactly one runs, the others wait for it', async () => {
    const { process, store } = newWorld();
    const first = await process.claim();
    const waiting = Array.from({ length: 10 }, async () => process.begin(WAITS));
    await settled();
    await first.release();
    const next = await Promise.race(waiting);
    if (next.outcome !== 'execute') throw new Error(`expected to run, got ${next.outcome}`);
    expect(next.claim.attempt).toBe(2);
    await next.claim.complete(bytes('paid'));
    const outcomes = (await Promise.all(waiting)).map(({ outcome }) => outcome);
    expect(tally(outcomes)).toEqual({ execute: 1, replay: 9 });
    expect(store.calls.map(({ verb }) => verb)).toEqual([
      'acquire',
      'release',
      'acquire',
      'complete',
    ]);
  });

  test('hear that the first one is held', async () => {
    const { process } = newWorld();
    const claim = await process.claim();
    const waiting = process.ask(WAITS);
    await settled();
    await claim.hold('why');
    expect(await waiting).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
  });

  test('claim nothing when nobody wants their answer any more', async () => {
    const world = newWorld();
    let isWanted = true;
    const claim = await world.process.claim();
    const waiting = world.process.ask({ ...WAITS, isWanted: () => isWanted });
    await settled();
    isWanted = false;
    await claim.release();
    expect(await waiting).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(world.record().state).toBe('released');
  });

  test('are not stuck when the first one cannot give its claim back', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    const waiting = process.begin({ waitMs: LEASE_MS });
    await settled();
    store.next('release', failBefore());
    await claim.release();
    // The store still says that it is in flight, until the release gets through.
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await world.advance(1_000);
    const beginning = await waiting;
    if (beginning.outcome !== 'execute') throw new Error('expected to run');
    await beginning.claim.release();
  });
});

describe('duplicates that wait for another process', () => {
  /** An owner in one process and a waiting duplicate in another. */
  async function ownerAndWaiter(
    world: World,
    store: IdempotencyStore = world.store,
    waitMs = WAIT_MS,
  ) {
    const owner = world.start();
    const process = world.start({ store });
    const claim = await owner.claim();
    const acquires = world.store.count('acquire');
    return {
      claim,
      process,
      waiting: follow(Promise.resolve(process.ask({ waitMs }))),
      /** How often the waiting process has asked. */
      asked: () => world.store.count('acquire') - acquires,
    };
  }

  test('wake by watch, without time passing', async () => {
    const world = newWorld();
    const { claim, waiting, asked } = await ownerAndWaiter(world);
    await settled();
    expect(asked()).toBe(2);
    await claim.complete(bytes('paid'));
    await settled();
    expect(waiting.value).toBe('replay paid');
    expect(asked()).toBe(3);
    expect(world.clock.now()).toBe(0);
    expect(world.clock.pendingTimers).toBe(0);
  });

  test('look rarely while they watch', async () => {
    const world = newWorld();
    const { claim, waiting, asked } = await ownerAndWaiter(world);
    await world.advance(WAIT_MS - 1);
    // Twice to begin with, once soon, then every second.
    expect(asked()).toBeLessThanOrEqual(8);
    expect(asked()).toBeGreaterThanOrEqual(6);
    await world.advance(1);
    expect(waiting.value).toBe('IDEMPOTENCY_KEY_IN_USE');
    // The owner's renewal; nobody watches for those who left.
    expect(world.clock.pendingTimers).toBe(1);
    await claim.release();
  });

  test.each([
    ['has no watch', (store: IdempotencyStore) => withoutWatch(store)],
    [
      'fails to watch',
      (store: IdempotencyStore) =>
        Object.assign(withoutWatch(store), {
          watch: () => {
            throw new Error('not connected');
          },
        }),
    ],
    [
      'never calls back',
      (store: IdempotencyStore) => Object.assign(withoutWatch(store), { watch: () => () => {} }),
    ],
  ])('poll where the store %s', async (_how, storeOf) => {
    const world = newWorld();
    const store = new Proxy(world.store, {});
    const { claim, waiting } = await ownerAndWaiter(world, storeOf(store));
    await world.advance(700);
    await claim.complete(bytes('paid'));
    expect(waiting.value).toBeUndefined();
    await world.advance(1_000);
    expect(waiting.value).toBe('replay paid');
  });

  test('poll with growing pauses', async () => {
    const world = newWorld();
    const { claim, asked } = await ownerAndWaiter(world, withoutWatch(world.store), 60_000);
    const counts: number[] = [];
    for (let second = 0; second < 10; second += 1) {
      const before = asked();
      await world.advance(1_000);
      counts.push(asked() - before);
    }
    expect(counts).toEqual([5, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
    await claim.complete(bytes('paid'));
    await world.advance(500);
  });

  test('share one look at the store, however many there are', async () => {
    const world = newWorld().answerLater();
    const owner = world.start();
    const claim = await owner.claim();
    const waiting = Array.from({ length: 100 }, () => world.process.ask(WAITS));
    await settled();
    const before = world.store.count('acquire');
    await claim.complete(bytes('paid'));
    expect(tally(await Promise.all(waiting))).toEqual({ 'replay paid': 100 });
    expect(world.store.count('acquire') - before).toBe(1);
  });

  test('never take over a live lease, and take over a dead one', async () => {
    const world = newWorld();
    const silent = world.startPaused();
    await silent.claim();
    world.crash(silent);
    const waiting = follow(world.process.begin({ waitMs: 2 * LEASE_MS }));
    await world.advance(LEASE_MS - 1);
    expect(waiting.value).toBeUndefined();
    await world.advance(1);
    expect(waiting.value).toMatchObject({ outcome: 'execute', claim: { attempt: 2 } });
    if (waiting.value?.outcome === 'execute') await waiting.value.claim.release();
  });

  test('never take over an owner that renews', async () => {
    const world = newWorld();
    const { claim, waiting } = await ownerAndWaiter(world, world.store, 20 * LEASE_MS);
    await world.advance(19 * LEASE_MS);
    expect(waiting.value).toBeUndefined();
    await claim.complete(bytes('paid'));
    await settled();
    expect(waiting.value).toBe('replay paid');
  });

  test('are refused as for a store that is down when it goes down meanwhile', async () => {
    const world = newWorld();
    const { claim, waiting } = await ownerAndWaiter(world);
    world.store.always('acquire', failBefore());
    await world.advance(1_000);
    expect(waiting.value).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    world.store.heal();
    await claim.release();
  });
});

describe('another content under the same key', () => {
  const OTHER = { fingerprint: 'other content' };
  const REUSED = 'IDEMPOTENCY_KEY_REUSED';

  test('is refused while the first call is being claimed', async () => {
    const { process, store } = newWorld();
    const gate = new Gate();
    store.next('acquire', answerLate(gate));
    const first = process.begin();
    const other = process.ask(OTHER);
    await gate.reached();
    gate.open();
    expect(await other).toBe(REUSED);
    expect(store.count('acquire')).toBe(1);
    const beginning = await first;
    if (beginning.outcome === 'execute') await beginning.claim.release();
  });

  test('gets its own answer when the one that asked before it was the other content', async () => {
    const { process, store } = newWorld();
    await (await process.claim()).complete(bytes('paid'));
    const gate = new Gate();
    store.next('acquire', answerLate(gate));
    const other = process.ask(OTHER);
    const first = process.ask();
    const wildcard = process.ask({ fingerprint: '' });
    gate.open();
    expect(await other).toBe(REUSED);
    expect(await first).toBe('replay paid');
    expect(await wildcard).toBe('replay paid');
  });

  test('is not answered from a record that matched a call without fingerprint', async () => {
    const { process, store } = newWorld();
    await (await process.claim()).complete(bytes('paid'));
    const gate = new Gate();
    store.next('acquire', answerLate(gate));
    const wildcard = process.ask({ fingerprint: '' });
    const other = process.ask(OTHER);
    gate.open();
    expect(await wildcard).toBe('replay paid');
    expect(await other).toBe(REUSED);
  });

  test.each([
    ['in the same process', (world: World) => world.process],
    ['in another process', (world: World) => world.start()],
  ])('is refused %s at every stage, and changes nothing', async (_where, processOf) => {
    const world = newWorld();
    const process = processOf(world);
    const claim = await world.process.claim();
    const inFlight = world.record();
    // Waiting would not make it match.
    expect(await process.ask({ ...OTHER, ...WAITS })).toBe(REUSED);
    expect(world.record()).toEqual(inFlight);
    await claim.complete(bytes('paid'));
    const completed = world.record();
    expect(await process.ask({ ...OTHER, onDuplicate: 'reject' })).toBe(REUSED);
    expect(world.record()).toEqual(completed);
    expect(await process.ask()).toBe('replay paid');
  });

  test('is refused from memory while the reply is not on record yet', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    store.next('complete', failAfter());
    await claim.complete(bytes('paid'));
    expect(await process.ask(OTHER)).toBe(REUSED);
    expect(await process.ask()).toBe('replay paid');
    expect(await process.ask({ onDuplicate: 'reject' })).toBe('IDEMPOTENCY_DUPLICATE');
    expect(store.count('acquire')).toBe(1);
    await world.advance(1_000);
  });

  test('is refused after the lease has run out, and the original is not', async () => {
    const world = newWorld();
    const silent = world.startPaused();
    await silent.claim();
    world.crash(silent);
    await world.advance(LEASE_MS);
    expect(await world.process.ask(OTHER)).toBe(REUSED);
    await (await world.process.claim()).release();
  });

  test('is refused when held', async () => {
    const { process } = newWorld();
    await (await process.claim()).hold('why');
    expect(await process.ask(OTHER)).toBe(REUSED);
  });
});
