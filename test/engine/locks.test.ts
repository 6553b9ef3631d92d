import { bytes, expectNothingLeft, LEASE_MS, newWorld, tally } from '../support/engine.js';

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
