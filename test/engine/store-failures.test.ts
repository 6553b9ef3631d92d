import type { Claim } from '../../src/engine/claim.js';
import { StoreFullError } from '../../src/engine/store.js';
import {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  type Fault,
  Gate,
  hang,
  hangAfter,
  type StoreVerb,
  throwBefore,
} from '../../src/testing/index.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  LEASE_MS,
  newWorld,
  RETRY_AFTER_MS,
  settled,
  STORE_TIMEOUT_MS,
  tally,
  type World,
} from '../support/engine.js';

// Jest fails a test during which a promise is rejected and nobody handles it.
expectNothingLeft();

const UNAVAILABLE = 'IDEMPOTENCY_STORE_UNAVAILABLE';

/** How long a store may take to answer after the caller has been told that it failed. */
const LATE_MS = 3 * STORE_TIMEOUT_MS;

/** Every way in which a store goes wrong, and whether it has written all the same. */
const FAULTS: [
  how: string,
  writes: 'never' | 'at once' | 'late',
  fault: (world: World) => Fault,
][] = [
  ['throws', 'never', () => throwBefore()],
  ['is full', 'never', () => throwBefore(new StoreFullError('full'))],
  ['fails before it writes', 'never', () => failBefore()],
  ['fails after it has written', 'at once', () => failAfter()],
  ['hangs for ever', 'never', () => hang()],
  ['writes and hangs for ever', 'at once', () => hangAfter()],
  ['writes and answers after the time-out', 'at once', (world) => answerLate(gateOf(world))],
  ['writes and answers after the time-out', 'late', (world) => delayUntil(gateOf(world))],
];

function gateOf(world: World): Gate {
  const gate = new Gate();
  gate.openAfter(world.clock, LATE_MS);
  return gate;
}

/** What came of a call within the store's time-out; a call that hangs fails the test. */
async function within<T>(world: World, asked: T | PromiseLike<T>): Promise<T> {
  const answer = follow(asked);
  await world.advance(STORE_TIMEOUT_MS);
  if (answer.value === undefined) throw new Error('it hangs');
  return answer.value;
}

describe.each(FAULTS)('a store that %s (%s)', (how, writes, faultIn) => {
  describe('when a call wants to begin', () => {
    test('refuses it in time, and the handler does not run', async () => {
      const world = newWorld();
      world.store.next('acquire', faultIn(world));
      const beginning = await within(world, world.process.begin());
      expect(beginning).toMatchObject({ code: UNAVAILABLE, retryAfterMs: RETRY_AFTER_MS });
      expect(beginning).toHaveProperty('cause.name', 'StoreUnavailableError');
      await world.advance(LATE_MS);
    });

    test('gives a claim back that nobody uses, so that the next call runs', async () => {
      const world = newWorld();
      world.store.next('acquire', faultIn(world));
      await within(world, world.process.begin());
      await world.advance(LATE_MS);
      const claim = await world.start().claim();
      expect(claim.attempt).toBe(1);
      await claim.release();
    });

    test('runs it unprotected where the policy says proceed, and claims nothing', async () => {
      const world = newWorld();
      world.store.next('acquire', faultIn(world));
      const given = { onStoreFailure: 'proceed' } as const;
      expect(await within(world, world.process.ask(given))).toBe('unprotected');
      expect(world.process.reported).toEqual(['unprotected']);
      await world.advance(LATE_MS);
      expect(world.memory.find('payment')?.state).not.toBe('in-flight');
    });
  });

  test('when a lease is renewed keeps the claim', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('extend', faultIn(world));
    await world.advance(2 * LEASE_MS);
    expect(claim.signal.aborted).toBe(false);
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
  });

  // Where there is no room, what is kept is that there was a reply.
  const isFull = how === 'is full';
  const kept = isFull ? 'tombstone' : 'paid';

  describe('when a reply is recorded', () => {
    test('lets the reply leave in time, and records it later', async () => {
      const world = newWorld();
      const { process, store } = world;
      const claim = await process.claim();
      store.next('complete', faultIn(world));
      const settlement = await within(world, claim.complete(bytes('paid')));
      expect(settlement).toEqual({ outcome: isFull ? 'stored' : 'deferred' });
      expect(process.eventsOf('completion-failed')).toMatchObject([
        { verb: 'complete', keeps: isFull ? 'tombstone' : 'reply' },
      ]);
      await world.advance(LATE_MS);
      expect(world.reply).toBe(kept);
      expect(process.reported.filter((type) => type === 'stored')).toHaveLength(1);
      expect(await world.start().ask()).toBe(`replay ${kept}`);
    });

    test('again and again keeps the claim, and duplicates get the reply from memory', async () => {
      const world = newWorld();
      const { process, store } = world;
      const claim = await process.claim();
      const waiting = process.ask({ waitMs: 10 * LEASE_MS });
      await settled();
      store.next('complete', faultIn(world));
      store.always('complete', failBefore());
      await within(world, claim.complete(bytes('paid')));
      expect(await waiting).toBe(`replay ${kept}`);
      const asked = store.count('acquire');
      await world.advance(3 * LEASE_MS);
      expect(await process.ask()).toBe(`replay ${kept}`);
      expect(store.count('acquire')).toBe(asked);
      // Elsewhere nobody runs: either the reply is there, or the lease is.
      const elsewhere = writes === 'never' ? 'IDEMPOTENCY_KEY_IN_USE' : `replay ${kept}`;
      expect(await world.start().ask()).toBe(elsewhere);
      expect(await world.process.ask()).toBe(`replay ${kept}`);
      store.heal();
      await world.advance(10_000);
      expect(world.reply).toBe(kept);
    });

    test('is waited for by a shutdown', async () => {
      const world = newWorld();
      const claim = await world.process.claim();
      world.store.next('complete', faultIn(world)).always('complete', failBefore());
      await within(world, claim.complete(bytes('paid')));
      world.store.heal();
      const drained = follow(world.process.engine.drain(60_000).then(() => 'drained'));
      await settled();
      expect(drained.value).toBeUndefined();
      await world.advance(5_000);
      expect(drained.value).toBe('drained');
      await world.advance(LATE_MS);
      expect(world.reply).toBe(kept);
    });
  });

  test('when a claim is given back gives it back later', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    const waiting = follow(process.begin({ waitMs: LEASE_MS }));
    await settled();
    store.next('release', faultIn(world));
    await within(
      world,
      Promise.resolve(claim.release()).then(() => 'released'),
    );
    expect(process.eventsOf('completion-failed')).toMatchObject([{ verb: 'release' }]);
    await world.advance(LATE_MS);
    const next = waiting.value;
    if (next?.outcome !== 'execute') throw new Error('expected that the waiting call runs');
    expect(next.claim.attempt).toBe(2);
    await next.claim.release();
  });

  test('when an operation is held holds it later, and nobody runs meanwhile', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    store.next('hold', faultIn(world));
    const settlement = await within(world, claim.hold('why'));
    expect(settlement).toEqual({ outcome: 'deferred' });
    expect(process.eventsOf('completion-failed')).toMatchObject([{ verb: 'hold' }]);
    expect(await process.ask()).toMatch(/^IDEMPOTENCY_(KEY_IN_USE|OUTCOME_UNKNOWN)$/);
    await world.advance(LATE_MS);
    expect(await process.ask()).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(process.eventsOf('held')).toHaveLength(1);
  });

  test('when a step is saved goes on, and saves it before another attempt', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('saveStep', faultIn(world));
    expect(await within(world, claim.saveStep('charge', bytes('charged')))).toBe(true);
    expect(world.process.eventsOf('step-not-saved')).toHaveLength(1);
    await claim.release();
    const next = await world.process.claim();
    expect([...next.steps.keys()]).toEqual(['charge']);
    await next.release();
    await world.advance(LATE_MS);
  });

  test('when a lost claim is looked up leaves it to its lease', async () => {
    const world = newWorld();
    world.store.next('acquire', failAfter());
    world.store.next('find', faultIn(world));
    const given = { onAbandoned: 'hold' } as const;
    expect(await within(world, world.process.ask(given))).toBe(UNAVAILABLE);
    await world.advance(LATE_MS);
    expect(await world.process.ask(given)).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(world.process.engine.isIdle).toBe(true);
  });
});

test.each([
  ['fails', failBefore()],
  ['hangs', hang()],
])('a store that %s refuses all callers of the moment with one question', async (_how, fault) => {
  const world = newWorld();
  world.store.next('acquire', fault);
  const calls = Array.from({ length: 50 }, () => world.process.ask({ waitMs: 10_000 }));
  expect(tally(await within(world, Promise.all(calls)))).toEqual({ [UNAVAILABLE]: 50 });
  expect(world.store.count('acquire')).toBe(1);
});

describe('a store that fails for good', () => {
  const VERBS: readonly StoreVerb[] = ['acquire', 'extend', 'complete', 'release', 'hold', 'find'];

  test.each([
    ['throws', throwBefore()],
    ['fails', failBefore()],
    ['hangs', hang()],
  ])('and %s hangs no call and loses no reply until its ttl has passed', async (_how, fault) => {
    const world = newWorld();
    const { process, store } = world;
    const completing = await process.claim({ id: 'completing', ttlMs: 600_000 });
    const releasing = await process.claim({ id: 'releasing', ttlMs: 600_000 });
    const holding = await process.claim({ id: 'holding', ttlMs: 600_000 });
    for (const verb of VERBS) store.always(verb, fault);
    const settling = [
      completing.complete(bytes('paid')),
      releasing.release(),
      holding.hold('why'),
    ].map(async (settlement) => settlement);
    await within(world, Promise.all(settling));
    await world.advance(500_000);
    expect(await process.ask({ id: 'completing' })).toBe('replay paid');
    expect(await within(world, process.ask({ id: 'releasing' }))).toBe(UNAVAILABLE);
    expect(await within(world, process.ask({ id: 'holding' }))).toBe(UNAVAILABLE);
    const drained = follow(process.engine.drain(5_000).then(() => 'given up'));
    await world.advance(5_000);
    expect(drained.value).toBe('given up');
    await world.advance(200_000);
    expect(process.engine.isIdle).toBe(true);
  });

  test('keeps answering duplicates of a handler that still runs', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    for (const verb of VERBS) store.always(verb, failBefore());
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await world.advance(LEASE_MS / 2);
    store.heal();
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
  });
});

describe('a background settlement', () => {
  test('tries again after growing pauses, at most five seconds', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.always('complete', failBefore());
    const times: number[] = [];
    const sink = { hasListeners: true, emit: () => times.push(world.clock.now()) };
    Object.assign(world.process.engine.events, sink);
    await claim.complete(bytes('paid'));
    await world.advance(LEASE_MS);
    world.store.heal();
    await world.advance(5_000);
    expect(times.slice(2)).toEqual([
      100, 300, 700, 1500, 3100, 6300, 11300, 16300, 21300, 26300, 31300,
    ]);
  });

  test('that was lost meanwhile changes nothing and leaves nothing behind', async () => {
    const world = newWorld();
    const paused = world.startPaused();
    const claims: Claim[] = [];
    for (const id of ['completing', 'releasing', 'holding'])
      claims.push(await paused.claim({ id }));
    const [completing, releasing, holding] = claims;
    for (const verb of ['complete', 'release', 'hold'] as const)
      world.store.next(verb, failBefore());
    await completing?.complete(bytes('late'));
    await releasing?.release();
    await holding?.hold('late');
    await world.advance(LEASE_MS);
    const winners: Claim[] = [];
    for (const { id } of claims) winners.push(await world.process.claim({ id }));
    await paused.clock.advance(10_000);
    for (const { id } of claims) expect(world.record(id)).toMatchObject({ state: 'in-flight' });
    for (const winner of winners)
      expect(await winner.complete(bytes('won'))).toEqual({ outcome: 'stored' });
  });

  test('is waited for by a shutdown also when it begins after the shutdown', async () => {
    const world = newWorld();
    const { engine } = world.process;
    const first = await world.process.claim({ id: 'first' });
    const second = await world.process.claim({ id: 'second' });
    world.store.next('release', failBefore(), failBefore(), failBefore());
    await first.release();
    const drained = follow(engine.drain(60_000).then(() => 'drained'));
    await world.advance(250);
    await second.release();
    await world.advance(50);
    // The first one is through, the second one is not.
    expect(world.record('first').state).toBe('released');
    expect(world.record('second').state).toBe('in-flight');
    expect(drained.value).toBeUndefined();
    await world.advance(1_000);
    expect(drained.value).toBe('drained');
    expect(world.record('second').state).toBe('released');
  });

  test('does not make a process start a second handler after a drain', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('release', failBefore());
    await claim.release();
    await Promise.all([world.process.engine.drain(10_000), world.advance(1_000)]);
    expect(world.process.engine.isIdle).toBe(true);
    expect(world.record().state).toBe('released');
  });
});
