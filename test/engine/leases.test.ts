import { AsyncLocalStorage } from 'node:async_hooks';
import type { Claim, Settlement } from '../../src/engine/claim.js';
import type { Awaitable } from '../../src/engine/store.js';
import { operationOf } from '../support/operation.js';
import {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  Gate,
  hang,
  ManualClock,
  pass,
} from '../../src/testing/index.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  LEASE_MS,
  newWorld,
  type Process,
  settled,
  STORE_TIMEOUT_MS,
  told,
  type World,
} from '../support/engine.js';

expectNothingLeft();

/** Of a process that can stand still: time goes on, and no timer fires. */
class StandingClock extends ManualClock {
  private stoodMs = 0;

  standStill(ms: number): void {
    this.stoodMs += ms;
  }

  override now(): number {
    return super.now() + this.stoodMs;
  }
}

describe('a lease', () => {
  it('is renewed, and lost, in the context of its call', async () => {
    const world = newWorld();
    const calls = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    world.store.always('extend', () => {
      seen.push(calls.getStore());
      return Promise.resolve(false);
    });
    const claim = await calls.run('a call', () => world.process.claim());
    claim.signal.addEventListener('abort', () => seen.push(calls.getStore()));
    await world.advance(LEASE_MS / 3);
    expect(seen).toEqual(['a call', 'a call']);
  });
});

describe('a process that stands still while it waits for its claim', () => {
  test.each([
    ['reads the answer in time, and runs', LEASE_MS - 1, 'execute'],
    [
      'reads the answer when the lease is over, and does not run',
      LEASE_MS,
      'IDEMPOTENCY_STORE_UNAVAILABLE',
    ],
  ])('%s', async (_how, standsStillMs, expected) => {
    const world = newWorld();
    const clock = new StandingClock();
    const process = world.start({ clock });
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    const asked = Promise.resolve(process.begin());
    clock.standStill(standsStillMs);
    gate.open();
    const beginning = await asked;
    expect(told(beginning)).toBe(expected);
    if (beginning.outcome === 'execute') await beginning.claim.release();
    await settled();
    await (await world.process.claim()).release();
  });
});

describe('the lease of a running handler', () => {
  test.each([
    ['at once', newWorld],
    ['with promises', () => newWorld().answerLater()],
  ])('outlives ten leases, over a store that answers %s', async (_how, start) => {
    const world = start();
    const claim = await world.process.claim();
    const other = world.start();
    for (let lease = 0; lease < 10; lease += 1) {
      await world.advance(LEASE_MS);
      expect(await other.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    }
    expect(claim.signal.aborted).toBe(false);
    expect(world.store.count('extend')).toBe(30);
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
    expect(await other.ask()).toBe('replay paid');
  });

  test('is renewed at a third of it, and not before', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    await world.advance(LEASE_MS / 3 - 1);
    expect(world.store.count('extend')).toBe(0);
    await world.advance(1);
    expect(world.store.count('extend')).toBe(1);
    expect(world.record().leaseRemainingMs).toBe(LEASE_MS);
    await claim.release();
  });

  test('is not renewed any more after the end', async () => {
    const world = newWorld();
    const { process, store } = world;
    await (await process.claim({ id: 'completed' })).complete(bytes('paid'));
    await (await process.claim({ id: 'released' })).release();
    await (await process.claim({ id: 'held' })).hold('why');
    await world.advance(2 * LEASE_MS);
    expect(store.count('extend')).toBe(0);
  });

  test('keeps attempt and steps for the ttl after it', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    claim.setTtl(60_000);
    await world.advance(LEASE_MS / 3);
    expect(world.record().ttlRemainingMs).toBe(LEASE_MS + 60_000);
    await claim.release();
  });

  test('survives a store that is down for most of it', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.always('extend', failBefore());
    await world.advance(0.9 * LEASE_MS);
    world.store.heal();
    await world.advance(10 * LEASE_MS);
    expect(claim.signal.aborted).toBe(false);
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
    expect(world.process.reported).not.toContain('lease-lost');
  });

  test.each([
    ['does not reach the store', failBefore()],
    ['gets no answer', hang()],
  ])('is lost at its end when every renewal %s', async (_how, fault) => {
    const world = newWorld();
    const claim = await world.process.claim();
    await world.advance(LEASE_MS / 3);
    world.store.always('extend', fault);
    await world.advance(LEASE_MS - 1);
    expect(claim.signal.aborted).toBe(false);
    await world.advance(1);
    expect(claim.signal.aborted).toBe(true);
    expect(world.process.eventsOf('lease-lost')).toEqual([
      {
        type: 'lease-lost',
        scope: 'POST /payments',
        strategy: 'unique-key',
        id: 'payment',
        attempt: 1,
      },
    ]);
    world.store.heal();
    await claim.release();
  });

  test('ends by the clock of the store, however far that of the process is ahead', async () => {
    const world = newWorld();
    const ahead = world.startPaused();
    const claim = await ahead.claim();
    await ahead.clock.advance(10 * LEASE_MS);
    expect(claim.signal.aborted).toBe(false);
    expect(await ahead.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    const other = world.startPaused();
    await other.clock.advance(10 * LEASE_MS);
    expect(await other.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await claim.complete(bytes('paid'));
  });

  test('is lost at its end also when a store hangs for longer than that', async () => {
    const world = newWorld();
    const leaseMs = STORE_TIMEOUT_MS / 2;
    const claim = await world.process.claim({ leaseMs });
    world.store.always('extend', hang());
    await world.advance(leaseMs - 1);
    expect(claim.signal.aborted).toBe(false);
    await world.advance(1);
    expect(claim.signal.aborted).toBe(true);
    await claim.release();
  });

  test('counts from the question of a renewal, not from its answer', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const gate = new Gate();
    world.store.next('extend', answerLate(gate)).always('extend', failBefore());
    await world.advance(LEASE_MS / 3);
    gate.openAfter(world.clock, STORE_TIMEOUT_MS - 1);
    await world.advance(LEASE_MS - 1);
    expect(claim.signal.aborted).toBe(false);
    await world.advance(1);
    expect(claim.signal.aborted).toBe(true);
    await claim.release();
  });

  test('is not renewed again by an answer that comes after the end', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const gate = new Gate();
    world.store.next('extend', answerLate(gate));
    await world.advance(LEASE_MS / 3);
    await claim.complete(bytes('paid'));
    gate.open();
    await world.advance(2 * LEASE_MS);
    expect(world.store.count('extend')).toBe(1);
    expect(world.clock.pendingTimers).toBe(0);
  });

  test('is kept by a renewal whose answer got lost', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('extend', failAfter(), failAfter());
    await world.advance(LEASE_MS);
    expect(claim.signal.aborted).toBe(false);
    expect(await world.start().ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await claim.complete(bytes('paid'));
  });

  test('counts from the question, not from the answer', async () => {
    const world = newWorld();
    const gate = new Gate();
    const leaseMs = 3_000;
    world.store.next('acquire', answerLate(gate));
    const asking = world.process.claim({ leaseMs });
    gate.openAfter(world.clock, STORE_TIMEOUT_MS - 1);
    await world.advance(STORE_TIMEOUT_MS - 1);
    const claim = await asking;
    // A third of the lease has passed already: it is renewed at once.
    await world.advance(0);
    expect(world.store.count('extend')).toBe(1);
    await claim.release();
  });

  test('is over before it began when the answer takes a whole lease', async () => {
    const world = newWorld();
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    const late = follow(world.process.ask({ leaseMs: 500 }));
    await world.advance(500);
    expect(late.value).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    const next = await world.start().claim();
    gate.open();
    await next.complete(bytes('paid'));
    expect(world.reply).toBe('paid');
  });

  test('is not lost by a renewal that comes after the reply was recorded', async () => {
    const world = newWorld().answerLater();
    const claim = await world.process.claim();
    const gate = new Gate();
    world.store.next('complete', answerLate(gate));
    world.store.next('extend', delayUntil(gate));
    await world.advance(LEASE_MS / 3);
    const completing = claim.complete(bytes('paid'));
    gate.open();
    expect(await completing).toEqual({ outcome: 'stored' });
    await world.advance(LEASE_MS);
    expect(world.process.reported).toEqual(['claimed', 'executed', 'stored']);
    expect(claim.signal.aborted).toBe(false);
  });

  test('is not lost by a renewal that is refused because the reply is there', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('complete', failAfter());
    world.store.always('complete', failBefore());
    await claim.complete(bytes('paid'));
    await world.advance(LEASE_MS);
    expect(world.process.reported).not.toContain('lease-lost');
    expect(await world.process.ask()).toBe('replay paid');
    world.store.heal();
    await world.advance(LEASE_MS);
    expect(world.process.eventsOf('stored')).toHaveLength(1);
  });

  test('tells a signal that is asked for later that it was lost', async () => {
    const world = newWorld();
    const { claim, winner } = await takenOver(world);
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    expect(claim.signal.aborted).toBe(true);
    await winner.release();
  });
});

/** Time passes for a process that gets no turn in the meantime. */
function standStill({ clock }: Process, ms: number): void {
  clock['nowMs'] += ms;
}

/** An owner that was paused for a lease, and the one that took over. */
async function takenOver(world: World) {
  const paused = world.startPaused();
  const claim = await paused.claim();
  await world.advance(LEASE_MS);
  const winner = await world.process.claim();
  expect(winner.attempt).toBe(2);
  expect(winner.fencingToken).toBeGreaterThan(claim.fencingToken);
  return { paused, claim, winner };
}

type SettlingWay = [
  how: string,
  outcome: string | undefined,
  settle: (claim: Claim) => Awaitable<Settlement | void>,
];

describe('an owner that asks whether it still is one', () => {
  const standing = async () => {
    const world = newWorld();
    const clock = new StandingClock();
    const process = world.start({ clock });
    return { world, clock, process, claim: await process.claim() };
  };

  test('does not ask the store while the lease runs', async () => {
    const { world, clock, claim } = await standing();
    clock.standStill(LEASE_MS - 1);
    world.store.next('extend', failBefore());
    expect(await claim.confirm()).toBe(true);
    await claim.release();
  });

  test('renews a lease that ran out while it stood still, if nobody took over', async () => {
    const { world, clock, claim } = await standing();
    clock.standStill(LEASE_MS);
    expect(await claim.confirm()).toBe(true);
    world.store.next('extend', failBefore());
    expect(await claim.confirm()).toBe(true);
    await claim.release();
  });

  test('learns that another one has taken over', async () => {
    const { world, clock, process, claim } = await standing();
    await world.process.clock.advance(LEASE_MS);
    const winner = await world.process.claim();
    clock.standStill(LEASE_MS);
    expect(await claim.confirm()).toBe(false);
    expect(claim.signal.aborted).toBe(true);
    expect(process.reported).toContain('lease-lost');
    await winner.release();
    await claim.release();
  });

  test('begins no step any more when another one has taken over', async () => {
    const { world, clock, claim } = await standing();
    await world.process.clock.advance(LEASE_MS);
    const winner = await world.process.claim();
    clock.standStill(LEASE_MS);
    const operation = operationOf({ key: 'a', scope: 'b', principal: undefined }, claim);
    let runs = 0;
    await expect(operation.step('charge', () => (runs += 1))).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_IN_USE',
    });
    expect(runs).toBe(0);
    await winner.release();
    await claim.release();
  });

  test('is not told yes by a store that does not answer', async () => {
    const { world, clock, claim } = await standing();
    clock.standStill(LEASE_MS);
    world.store.next('extend', failBefore());
    await expect(async () => claim.confirm()).rejects.toThrow('The idempotency store');
    await claim.release();
  });
});

describe('an owner that was paused and taken over', () => {
  test('hears of it at its next renewal: signal, event', async () => {
    const world = newWorld();
    const { paused, claim, winner } = await takenOver(world);
    let aborted = 0;
    claim.signal.addEventListener('abort', () => (aborted += 1));
    await paused.clock.advance(LEASE_MS / 3);
    expect(aborted).toBe(1);
    expect(paused.reported).toEqual(['claimed', 'lease-lost']);
    await paused.clock.advance(LEASE_MS);
    expect(paused.reported).toEqual(['claimed', 'lease-lost']);
    await claim.release();
    await winner.release();
  });

  test('changes nothing and gets the reply of the winner', async () => {
    const world = newWorld();
    const { claim, winner } = await takenOver(world);
    await winner.complete(bytes('won'));
    const before = world.record();
    const settlement = await claim.complete(bytes('late'));
    expect(settlement).toEqual({ outcome: 'superseded', reply: Buffer.from('won') });
    expect(world.record()).toEqual(before);
  });

  test.each([
    ['completes', 'lost', (claim) => claim.complete(bytes('late'))],
    ['holds', 'lost', (claim) => claim.hold('late')],
    ['releases', undefined, (claim) => claim.release()],
  ] as SettlingWay[])(
    'changes nothing when it %s while the winner still runs',
    async (_how, outcome, settle) => {
      const world = newWorld();
      const { paused, claim, winner } = await takenOver(world);
      const before = world.record();
      expect((await settle(claim))?.outcome).toBe(outcome);
      expect(world.record()).toEqual(before);
      expect(claim.signal.aborted).toBe(true);
      expect(paused.reported).toContain('lease-lost');
      expect(paused.reported).not.toContain('released');
      expect(paused.reported).not.toContain('held');
      await winner.complete(bytes('won'));
      expect(await paused.ask()).toBe('replay won');
    },
  );

  test('sends its own duplicates to the winner', async () => {
    const world = newWorld();
    const { paused, claim, winner } = await takenOver(world);
    const waiting = follow(paused.ask({ waitMs: 2 * LEASE_MS }));
    await paused.clock.advance(LEASE_MS);
    expect(waiting.value).toBeUndefined();
    await winner.complete(bytes('won'));
    await paused.clock.advance(0);
    expect(waiting.value).toBe('replay won');
    await claim.release();
  });

  test('wakes its own duplicates when it hears of the winner by completing', async () => {
    const world = newWorld();
    const { paused, claim, winner } = await takenOver(world);
    const waiting = follow(paused.ask({ waitMs: LEASE_MS }));
    await winner.complete(bytes('won'));
    await settled();
    expect(waiting.value).toBeUndefined();
    await claim.complete(bytes('late'));
    await settled();
    expect(waiting.value).toBe('replay won');
  });

  test('records what it did when nobody took over', async () => {
    const world = newWorld();
    const paused = world.startPaused();
    const claim = await paused.claim();
    await world.advance(LEASE_MS);
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'stored' });
    expect(world.record()).toMatchObject({ state: 'completed', attempt: 2 });
    expect(paused.reported).toEqual(['claimed', 'executed', 'lease-lost', 'stored']);
    expect(await world.process.ask()).toBe('replay late');
  });

  test('records what it did when the one that took over has failed', async () => {
    const world = newWorld();
    const { claim, winner } = await takenOver(world);
    await winner.release();
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'stored' });
    expect(await world.process.ask()).toBe('replay late');
  });

  test('records what it did when the one that took over has died', async () => {
    const world = newWorld();
    const claim = await world.startPaused().claim();
    await world.advance(LEASE_MS);
    const dying = world.startPaused();
    expect((await dying.claim()).attempt).toBe(2);
    world.crash(dying);
    await world.advance(LEASE_MS);
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'stored' });
    expect(await world.process.ask()).toBe('replay late');
  });

  test('leaves alone what the one that took over has held', async () => {
    const world = newWorld();
    const { claim, winner } = await takenOver(world);
    await winner.hold('why');
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    expect(world.record().state).toBe('held');
  });

  test('does not disturb a duplicate that took over in its own process', async () => {
    const world = newWorld();
    const paused = world.startPaused();
    const claim = await paused.claim();
    await world.advance(LEASE_MS);
    await paused.clock.advance(LEASE_MS / 3);
    const winner = await paused.claim();
    expect(winner.attempt).toBe(2);
    expect(await claim.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    const asked = world.store.count('acquire');
    expect(await paused.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(world.store.count('acquire')).toBe(asked);
    await winner.complete(bytes('won'));
    expect(await paused.ask()).toBe('replay won');
  });
});

describe('a reply that is there when the lease has run out and the store fails', () => {
  /** An owner whose lease ran out because it was paused; nobody took over. */
  async function expired(world: World) {
    const paused = world.startPaused();
    const claim = await paused.claim({ label: 'order 4711' });
    await world.advance(LEASE_MS);
    return { paused, claim };
  }

  test.each([
    ['fails before it claims', failBefore()],
    ['claims, and the answer is lost', failAfter()],
    ['does not answer', hang()],
  ])('is recorded when claiming again %s', async (_how, fault) => {
    const world = newWorld();
    const { paused, claim } = await expired(world);
    world.store.next('acquire', fault);
    const settling = follow(claim.complete(bytes('late')));
    await paused.clock.advance(STORE_TIMEOUT_MS);
    expect(settling.value).toEqual({ outcome: 'stored' });
    expect(await paused.ask()).toBe('replay late');
    expect(world.reply).toBe('late');
    expect(world.memory.find('payment')?.story?.label).toBe('order 4711');
    expect(paused.eventsOf('stored')).toHaveLength(1);
  });

  test('is recorded when an earlier try claims again only now', async () => {
    const world = newWorld();
    const { paused, claim } = await expired(world);
    const slow = new Gate();
    world.store.next('acquire', delayUntil(slow));
    // The second try finds no claim of the first one, and then the first one gets through.
    const refusedLate = new Gate();
    world.store.next('complete', pass, answerLate(refusedLate));
    const settling = follow(claim.complete(bytes('late')));
    await paused.clock.advance(STORE_TIMEOUT_MS);
    await refusedLate.reached();
    slow.open();
    await settled();
    refusedLate.open();
    await settled();
    expect(settling.value).toEqual({ outcome: 'stored' });
    expect(world.reply).toBe('late');
    expect(paused.eventsOf('stored')).toHaveLength(1);
  });

  test('keeps the claim that was taken just to record it', async () => {
    const world = newWorld();
    const process = world.start();
    const paused = world.startPaused();
    const claim = await paused.claim();
    await world.advance(LEASE_MS);
    // Its lease is refused, it claims again, and then the store keeps failing.
    world.store.next('complete', pass);
    world.store.always('complete', failBefore());
    await claim.complete(bytes('late'));
    for (let third = 0; third < 9; third += 1) {
      await paused.clock.advance(LEASE_MS / 3);
      await world.advance(LEASE_MS / 3);
    }
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    world.store.heal();
    await paused.clock.advance(LEASE_MS);
    expect(await process.ask()).toBe('replay late');
  });

  test('is not sent while nobody knows whether another owner has sent a reply', async () => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    for (const verb of ['acquire', 'extend', 'complete'] as const) store.always(verb, failBefore());
    await world.advance(2 * LEASE_MS);
    expect(claim.signal.aborted).toBe(true);
    expect(await process.ask()).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(await claim.complete(bytes('paid'))).toMatchObject({ outcome: 'unrecorded' });
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    store.heal();
    await world.advance(10_000);
    expect(world.reply).toBe('paid');
    expect(await process.ask()).toBe('replay paid');
  });

  test('gives way to the reply of whoever finished meanwhile', async () => {
    const world = newWorld();
    const { paused, claim, winner } = await takenOver(world);
    standStill(paused, LEASE_MS);
    world.store.next('complete', failBefore(), failBefore());
    expect(await claim.complete(bytes('late'))).toMatchObject({ outcome: 'unrecorded' });
    await winner.complete(bytes('won'));
    await paused.clock.advance(1_000);
    expect(world.reply).toBe('won');
    expect(await paused.ask()).toBe('replay won');
    expect(paused.reported).not.toContain('stored');
  });

  test('is asked for again at once, and gives way to a reply that is there', async () => {
    const world = newWorld();
    const { paused, claim, winner } = await takenOver(world);
    await winner.complete(bytes('won'));
    // The process was paused between its request and the answer, for longer than the store may take.
    world.store.next('complete', hang());
    const settling = follow(claim.complete(bytes('late')));
    standStill(paused, LEASE_MS);
    await paused.clock.advance(0);
    expect(settling.value).toMatchObject({ outcome: 'superseded', reply: bytes('won') });
  });

  test('is not sent if the lease runs out while the store is asked', async () => {
    const world = newWorld();
    const { process } = world;
    const claim = await process.claim();
    standStill(process, LEASE_MS - STORE_TIMEOUT_MS / 2);
    world.store.always('extend', hang()).always('complete', hang());
    const settling = follow(claim.complete(bytes('late')));
    await world.advance(2 * STORE_TIMEOUT_MS);
    expect(settling.value).toMatchObject({ outcome: 'unrecorded' });
    world.store.heal();
    await world.advance(20_000);
    expect(await process.ask()).toBe('replay late');
  });
});
