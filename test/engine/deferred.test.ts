import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { CancelTimer } from '../../src/engine/clock.js';
import { DeferredCompletions } from '../../src/engine/deferred.js';
import { isStoreFull, StoreFullError } from '../../src/engine/store.js';
import { failBefore, ManualClock, throwBefore } from '../../src/testing/index.js';
import { TOMBSTONE } from '../support/deferred.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  LEASE_MS,
  newWorld,
  type Process,
  settled,
  textOf,
  tally,
  type World,
} from '../support/engine.js';

expectNothingLeft();

const FULL = 'IDEMPOTENCY_STORE_UNAVAILABLE';
const REPLY = bytes('x'.repeat(1_000));

/** As the process's own timers do, which keep the context that they were set in. */
class KeepingClock extends ManualClock {
  override after(delayMs: number, fire: () => void): CancelTimer {
    return super.after(delayMs, AsyncResource.bind(fire));
  }
}

/** A process in which operations end while the store takes no ends. */
async function end(process: Process, count: number, reply = REPLY): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `payment-${index}`);
  const claims = await Promise.all(ids.map((id) => process.claim({ id })));
  for (const claim of claims) expect(await claim.complete(reply)).toEqual({ outcome: 'deferred' });
}

async function repliesOf(world: World, count: number): Promise<Record<string, number>> {
  const answers = Array.from({ length: count }, async (_, index) => {
    const { reply } = world.record(`payment-${index}`);
    return reply === undefined ? 'none' : reply.length === REPLY.length ? 'reply' : textOf(reply);
  });
  return tally(await Promise.all(answers));
}

function bytesKept(process: Process): number {
  return process.engine.deferred['bytes'];
}

describe('replies that wait for the store', () => {
  test('take no more memory than they may: the rest are tombstones, and nothing runs twice', async () => {
    const world = newWorld();
    const process = world.start({ bounds: { maxBytes: 10_000 } });
    world.store.always('complete', failBefore());
    await end(process, 50);
    expect(bytesKept(process)).toBeLessThanOrEqual(10_000 + 50 * TOMBSTONE.length);
    const keeps = process.eventsOf('completion-failed').map((event) => event.keeps);
    expect(tally(keeps as string[])).toEqual({ reply: 10, tombstone: 40 });
    expect(await process.ask({ id: 'payment-0' })).toBe(`replay ${textOf(REPLY)}`);
    expect(await process.ask({ id: 'payment-49' })).toBe('replay tombstone');
    expect(await world.start().ask({ id: 'payment-49' })).toBe('IDEMPOTENCY_KEY_IN_USE');
    world.store.heal();
    await world.advance(10_000);
    expect(await repliesOf(world, 50)).toEqual({ reply: 10, tombstone: 40 });
    expect(bytesKept(process)).toBe(0);
  });

  test('are no more than they may: calls with new keys are refused until the store is back', async () => {
    const world = newWorld();
    const process = world.start({ bounds: { maxCompletions: 3 } });
    world.store.always('complete', failBefore());
    await end(process, 5);
    // What was under way when the bound was reached is remembered as well.
    const refused = await process.begin({ id: 'another' });
    expect(refused).toMatchObject({ code: FULL });
    expect(refused).toHaveProperty(
      'cause.message',
      expect.stringMatching(/maxDeferredCompletions/),
    );
    expect(await process.ask({ id: 'another', onStoreFailure: 'proceed' })).toBe('unprotected');
    expect(await process.ask({ id: 'payment-4' })).toBe(`replay ${textOf(REPLY)}`);
    world.store.heal();
    await world.advance(10_000);
    expect(await repliesOf(world, 5)).toEqual({ reply: 5 });
    await (await process.claim({ id: 'another' })).release();
  });

  test.each([
    ['releases', 'release'],
    ['holds', 'hold'],
  ] as const)('count beside %s', async (_, verb) => {
    const world = newWorld();
    const process = world.start({ bounds: { maxCompletions: 1 } });
    world.store.always(verb, failBefore());
    const claim = await process.claim();
    await (verb === 'release' ? claim.release() : claim.hold('why'));
    expect(await process.ask({ id: 'another' })).toBe(FULL);
    world.store.heal();
    await world.advance(10_000);
    await (await process.claim({ id: 'another' })).release();
  });

  test('count beside steps that wait with them', async () => {
    const world = newWorld();
    const process = world.start({ bounds: { maxBytes: 500 } });
    world.store.always('saveStep', failBefore()).always('release', failBefore());
    const claim = await process.claim();
    expect(await claim.saveStep('charge', REPLY)).toBe(true);
    await claim.release();
    expect(await process.ask({ id: 'another' })).toBe(FULL);
    world.store.heal();
    await world.advance(10_000);
    expect([...world.record().steps.keys()]).toEqual(['charge']);
    expect(bytesKept(process)).toBe(0);
  });

  test('are given up with their ttl, and make room', async () => {
    const world = newWorld();
    const process = world.start({ bounds: { maxCompletions: 1 } });
    world.store.always('complete', failBefore());
    const claim = await process.claim({ ttlMs: 60_000 });
    await claim.complete(REPLY);
    await world.advance(70_000);
    expect(bytesKept(process)).toBe(0);
    expect(process.engine.deferred.isFull).toBe(false);
  });

  test('let go of the call that they came from', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const calls = new AsyncLocalStorage<object>();
    const world = newWorld();
    const clock = new KeepingClock();
    const process = world.start({ clock });
    world.store.always('complete', failBefore()).always('extend', failBefore());
    const left: WeakRef<object>[] = [];
    const call = async (id: string): Promise<void> => {
      const context = { body: new Uint8Array(1_000_000) };
      const request = { body: new Uint8Array(1_000_000) };
      left.push(new WeakRef(context), new WeakRef(request));
      await calls.run(context, async () => {
        const isWanted = (): boolean => request.body.length > 0;
        const claim = await process.claim({ id, isWanted });
        await claim.complete(REPLY);
      });
    };
    for (const id of ['a', 'b', 'c']) await call(id);
    await clock.advance(LEASE_MS);
    // Errors know the functions that they came through.
    process.events.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    expect(left.filter((each) => each.deref() !== undefined)).toEqual([]);
    world.store.heal();
    await clock.advance(10_000);
    expect(textOf(world.record('a').reply!)).toBe(textOf(REPLY));
  });
});

describe('a store that has no room for a reply', () => {
  const full = new StoreFullError('full');

  test('keeps a tombstone at once', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('complete', throwBefore(full));
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'stored' });
    expect(world.reply).toBe('tombstone');
    expect(await world.process.ask()).toBe('replay tombstone');
    expect(await world.start().ask()).toBe('replay tombstone');
    expect(world.process.reported).toEqual([
      'claimed',
      'executed',
      'completion-failed',
      'stored',
      'replayed',
    ]);
  });

  test('nor for a tombstone is asked again with that, not with the reply', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.always('complete', failBefore(full));
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'deferred' });
    expect(bytesKept(world.process)).toBe(TOMBSTONE.length);
    await world.advance(1_000);
    const sent = world.store.calls.filter(({ verb }) => verb === 'complete').slice(1);
    expect(sent.length).toBeGreaterThan(1);
    for (const { argument } of sent) expect(argument).toMatchObject({ reply: TOMBSTONE });
    world.store.heal();
    await world.advance(10_000);
    expect(world.reply).toBe('tombstone');
  });

  test('but only says so when it is back keeps the tombstone then', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    world.store.next('complete', failBefore(), failBefore(), failBefore(full));
    await claim.complete(REPLY);
    expect(await world.process.ask()).toBe(`replay ${textOf(REPLY)}`);
    await world.advance(10_000);
    expect(world.reply).toBe('tombstone');
    const keeps = world.process.eventsOf('completion-failed').map((event) => event.keeps);
    expect(keeps).toEqual(['reply', 'reply', 'tombstone']);
  });

  test('is known by what caused its error, also from another copy of this package', () => {
    class StoreFullErrorOfAnotherCopy extends Error {
      override readonly name = 'StoreFullError';
    }
    for (const error of [full, new StoreFullErrorOfAnotherCopy()]) {
      expect(isStoreFull(error)).toBe(true);
      expect(isStoreFull(new Error('it failed', { cause: error }))).toBe(true);
    }
    expect(isStoreFull(new Error('it failed', { cause: new Error('down') }))).toBe(false);
    expect(isStoreFull(undefined)).toBe(false);
  });
});

describe('a shutdown', () => {
  test('waits for an operation that still runs, and for what it ends with', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const drained = follow(world.process.engine.drain(60_000));
    await world.advance(5_000);
    expect(drained.value).toBeUndefined();
    world.store.next('complete', failBefore());
    await claim.complete(REPLY);
    await settled();
    expect(drained.value).toBeUndefined();
    await world.advance(5_000);
    expect(drained.value).toBe(0);
    expect(textOf(world.record().reply!)).toBe(textOf(REPLY));
  });

  test('does not take the moment between an end and its being deferred for idle', async () => {
    const world = newWorld();
    const claim = await world.process.claim();
    const drained = follow(world.process.engine.drain(60_000));
    world.store.next('release', failBefore());
    await claim.release();
    await settled();
    expect(drained.value).toBeUndefined();
    await world.advance(5_000);
    expect(drained.value).toBe(0);
    expect(world.record().state).toBe('released');
  });

  test('waits no longer than it is told, and says how many are left', async () => {
    const world = newWorld();
    const claims = [await world.process.claim({ id: 'a' }), await world.process.claim({ id: 'b' })];
    const drained = follow(world.process.engine.drain(3_000));
    await world.advance(3_000);
    expect(drained.value).toBe(2);
    for (const claim of claims) await claim.release();
  });

  test('is over at once where nothing is left', async () => {
    expect(await newWorld().process.engine.drain(60_000)).toBe(0);
  });
});

test('a place is freed once, whatever became of the reply in it', () => {
  const all = new DeferredCompletions({ maxCompletions: 1, maxBytes: 10, tombstone: TOMBSTONE });
  const first = all.add(bytes('one'));
  first.shrink();
  first.leave();
  expect(all.isFull).toBe(false);
  all.add(bytes('two'));
  expect(all.isFull).toBe(true);
});
