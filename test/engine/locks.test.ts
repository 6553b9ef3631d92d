import { storeLocks } from '../../src/engine/store-locks.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  answerLate,
  failBefore,
  Gate,
  hang,
  ManualClock,
  type StoreCall,
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
  tally,
} from '../support/engine.js';

expectNothingLeft();

const LOCK = { id: 'coupon', fingerprint: '', keepsReply: false, ttlMs: LEASE_MS };
const WAITS = { ...LOCK, waitMs: 60_000 };

const ENDS = ['complete', 'fail', 'hold', 'release'] as const;

describe('a lock', () => {
  test.each(ENDS)('is free, and nothing is on record, after its holder did: %s', async (end) => {
    const { process, memory } = newWorld();
    const holder = await process.claim(LOCK);
    expect(await process.ask(LOCK)).toBe('IDEMPOTENCY_KEY_IN_USE');
    await (end === 'release' ? holder.release() : holder[end](bytes('reply') as never));

    expect(memory.find('coupon')).toMatchObject({ state: 'released' });
    expect(memory.find('coupon')).not.toHaveProperty('reply');
    await (await process.claim(LOCK)).complete(bytes('reply'));
  });

  test('leaves nothing at all a lease later', async () => {
    const world = newWorld();
    await (await world.process.claim(LOCK)).complete(bytes('reply'));
    await world.advance(LEASE_MS);
    expect(world.memory.find('coupon')).toBeUndefined();
  });

  test('lets 64 callers of two processes in, one at a time, without polling between them', async () => {
    const world = newWorld();
    const other = world.start();
    let inside = 0;
    const work = async (process = world.process): Promise<string> => {
      const holder = await process.claim(WAITS);
      inside += 1;
      const seen = `${inside} inside`;
      await Promise.resolve();
      inside -= 1;
      await holder.complete(bytes('reply'));
      return seen;
    };
    const working = Array.from({ length: 64 }, (_, at) => work(at % 2 === 0 ? other : undefined));

    expect(tally(await Promise.all(working))).toEqual({ '1 inside': 64 });
  });

  test('knows nothing of what other holders did: attempts and steps are their own', async () => {
    const world = newWorld();
    const first = await world.process.claim(LOCK);
    expect(await first.saveStep('charge', bytes('charged'))).toBe(true);
    await first.complete(bytes('reply'));
    const second = await world.process.claim(LOCK);
    expect([second.attempt, second.steps.size]).toEqual([1, 0]);
    await second.complete(bytes('reply'));
  });

  test.each(['rerun', 'hold'] as const)(
    'of a process that died is free after its lease, also with onAbandoned: %s',
    async (onAbandoned) => {
      const world = newWorld();
      const dead = world.startPaused();
      await dead.claim({ ...LOCK, onAbandoned });
      world.crash(dead);
      await world.advance(LEASE_MS - 1);
      expect(await world.process.ask({ ...LOCK, onAbandoned })).toBe('IDEMPOTENCY_KEY_IN_USE');
      await world.advance(1);
      const next = await world.process.claim({ ...LOCK, onAbandoned });

      expect([next.attempt, next.steps.size]).toEqual([1, 0]);
      await next.complete(bytes('reply'));
    },
  );

  test('of a process that was paused is lost: it finds out, and its token is the lower one', async () => {
    const world = newWorld();
    const paused = world.startPaused();
    const old = await paused.claim(LOCK);
    await world.advance(LEASE_MS);
    const next = await world.process.claim(LOCK);
    await paused.clock.advance(LEASE_MS);

    expect(old.signal.aborted).toBe(true);
    expect(old.fencingToken).toBeLessThan(next.fencingToken);
    expect(await old.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    expect(next.signal.aborted).toBe(false);
    expect(await world.process.ask(LOCK)).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(await next.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
  });
});

describe('a lock of a lock service', () => {
  const OF_SERVICE = { ...LOCK, isLock: true };
  const WAITING = { ...OF_SERVICE, waitMs: 60_000 };

  /** Processes whose locks are in the same store, and in which records are kept elsewhere. */
  function newService() {
    const world = newWorld();
    const start = (clock = world.clock): Process => {
      const locks = storeLocks({ store: world.store, clock });
      return world.start({ clock, store: new MemoryStore({ clock }), locks });
    };
    return { world, store: world.store, start, process: start(), other: start() };
  }

  test.each(ENDS)('is free after its holder did: %s', async (end) => {
    const { process, other, world } = newService();
    const holder = await process.claim(OF_SERVICE);
    expect(await process.ask(OF_SERVICE)).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(await other.ask(OF_SERVICE)).toBe('IDEMPOTENCY_KEY_IN_USE');
    await (end === 'release' ? holder.release() : holder[end](bytes('reply') as never));

    expect(world.memory.find('coupon')).toMatchObject({ state: 'released' });
    await (await other.claim(OF_SERVICE)).complete(bytes('reply'));
    expect(process.reported).toEqual(['claimed', 'rejected', 'executed', 'released']);
  });

  test('lets 64 callers of two processes in, one at a time, each with a higher token', async () => {
    const { process, other } = newService();
    let inside = 0;
    const tokens: number[] = [];
    const work = async (by: Process): Promise<string> => {
      const holder = await by.claim(WAITING);
      inside += 1;
      const seen = `${inside} inside`;
      tokens.push(holder.fencingToken);
      await Promise.resolve();
      inside -= 1;
      await holder.complete(bytes('reply'));
      return seen;
    };
    const working = Array.from({ length: 64 }, (_, at) => work(at % 2 === 0 ? other : process));

    expect(tally(await Promise.all(working))).toEqual({ '1 inside': 64 });
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
  });

  test('is asked for by one call of a process at a time; the others wait in their order', async () => {
    const { process, other, store } = newService();
    const holder = await other.claim(OF_SERVICE);
    const entered: number[] = [];
    const calls = [0, 1, 2].map(async (at) => {
      const claim = await process.claim(WAITING);
      entered.push(at);
      await claim.complete(bytes('reply'));
    });
    await settled();
    const owners = store.calls.filter(({ verb }) => verb === 'acquire').map(ownerOf);
    expect(new Set(owners).size).toBe(2);
    await holder.complete(bytes('reply'));
    await Promise.all(calls);
    expect(entered).toEqual([0, 1, 2]);
  });

  test('is waited for no longer than `wait`, in the process and in the service', async () => {
    const { process, other, world } = newService();
    const holder = await other.claim(OF_SERVICE);
    const answers = [1, 2].map(() => follow(process.ask(WAITING)));
    await world.advance(59_999);
    expect(answers.map(({ value }) => value)).toEqual([undefined, undefined]);
    await world.advance(1);
    expect(answers.map(({ value }) => value)).toEqual([
      'IDEMPOTENCY_KEY_IN_USE',
      'IDEMPOTENCY_KEY_IN_USE',
    ]);
    expect(process.eventsOf('waited')[0]).toMatchObject({ durationMs: 60_000 });
    await holder.complete(bytes('reply'));
    await (await process.claim(OF_SERVICE)).complete(bytes('reply'));
  });

  test('is refused, or not needed if the handler says so, while its service fails', async () => {
    const { process, world } = newService();
    world.store.always('acquire', failBefore());
    expect(await process.ask(WAITING)).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(await process.ask({ ...WAITING, onStoreFailure: 'proceed' })).toBe('unprotected');
    world.store.heal();
    await (await process.claim(OF_SERVICE)).complete(bytes('reply'));
  });

  test('that is given too late is given up: its caller has been refused', async () => {
    const { process, other, world } = newService();
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    const answer = follow(process.ask(OF_SERVICE));
    await world.advance(STORE_TIMEOUT_MS);
    expect(answer.value).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(await other.ask(OF_SERVICE)).toBe('IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await settled();
    await (await other.claim(OF_SERVICE)).complete(bytes('reply'));
  });

  test('that cannot be released is released later, and nobody of the process enters before', async () => {
    const { process, world } = newService();
    const holder = await process.claim(OF_SERVICE);
    world.store.next('release', failBefore(), failBefore());
    expect(await holder.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
    expect(await process.ask(OF_SERVICE)).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(process.engine.isIdle).toBe(false);
    const next = process.claim(WAITING);
    await world.advance(1_000);
    expect(process.eventsOf('completion-failed')).toHaveLength(2);
    await (await next).complete(bytes('reply'));
  });

  test('is lost one lease after the last answer, also if the service hangs', async () => {
    const { process, other, world } = newService();
    const holder = await process.claim(OF_SERVICE);
    await world.advance(LEASE_MS / 3);
    world.store.always('extend', hang());
    await world.advance(LEASE_MS - 1);
    expect([holder.signal.aborted, await holder.confirm()]).toEqual([false, true]);
    await world.advance(1);
    expect([holder.signal.aborted, await holder.confirm()]).toEqual([true, false]);
    expect(process.reported).toContain('lease-lost');

    const next = await other.claim(OF_SERVICE);
    expect(next.fencingToken).toBeGreaterThan(holder.fencingToken);
    expect(await holder.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    expect(next.signal.aborted).toBe(false);
    expect(await next.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
  });

  test('of a process that was paused is lost: it finds out when it continues', async () => {
    const { start, other, world } = newService();
    const paused = start(new ManualClock());
    const old = await paused.claim(OF_SERVICE);
    await world.advance(LEASE_MS);
    const next = await other.claim(OF_SERVICE);
    await paused.clock.advance(LEASE_MS);

    expect(old.signal.aborted).toBe(true);
    expect(old.fencingToken).toBeLessThan(next.fencingToken);
    expect(await old.complete(bytes('late'))).toEqual({ outcome: 'lost' });
    expect(await other.ask(OF_SERVICE)).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(await next.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
  });

  test('is given back, and nothing runs, if nobody waits for the answer any more', async () => {
    const { process, other } = newService();
    const gone = { ...WAITING, isWanted: () => false };
    expect(await process.ask(gone)).toBe('IDEMPOTENCY_KEY_IN_USE');
    await (await other.claim(OF_SERVICE)).complete(bytes('reply'));
  });
});

function ownerOf({ argument }: StoreCall): unknown {
  return (argument as { readonly owner?: string }).owner;
}
