import { StoreFullError } from '../../src/engine/store.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { memoryStore } from '../support/memory-store.js';

describe('MemoryStore within maxRecords', () => {
  test('refuses a new record when it is full, and drops none that is alive', () => {
    const { store, ...full } = fullOf(10);
    expect(() => full.acquire('one too many')).toThrow(StoreFullError);
    expect(() => store.issue({ id: 'one too many', ttlMs: 1000 })).toThrow(StoreFullError);
    expect(store.find('one too many')).toBeUndefined();
    for (let index = 0; index < 10; index += 1) expect(store.find(`${index}`)).toBeDefined();
    expect(store.size).toBe(10);
  });

  test('goes on serving the records that it has', async () => {
    const { store, clock, ...full } = fullOf(3);
    expect(full.acquire('0')).toMatchObject({ outcome: 'in-flight' });
    expect(full.complete('0')).toBe(true);
    expect(full.acquire('0')).toMatchObject({ outcome: 'completed' });
    expect(store.release(full.claimOf('1'))).toBe(true);
    expect(full.acquire('1')).toMatchObject({ outcome: 'acquired', attempt: 2 });
    await clock.advance(1500);
    expect(full.acquire('2')).toMatchObject({ outcome: 'acquired', attempt: 2 });
  });

  test('has room again as soon as something has expired, however little was cleaned', async () => {
    const { store, clock, ...full } = fullOf(10);
    await clock.advance(2000);
    for (let index = 0; index < 10; index += 1) {
      expect(full.acquire(`new ${index}`)).toMatchObject({ outcome: 'acquired', attempt: 1 });
    }
    expect(() => full.acquire('one too many')).toThrow(StoreFullError);
    expect(store.size).toBe(10);
  });

  test('never gives up a held record for a new one', async () => {
    const { store, clock, ...full } = fullOf(2);
    store.hold({ ...full.claimOf('0'), reason: 'reason' });
    store.hold({ ...full.claimOf('1'), reason: 'reason' });
    await clock.advance(365 * 86_400_000);
    expect(() => full.acquire('one too many')).toThrow(StoreFullError);
    expect(full.acquire('0')).toEqual({ outcome: 'held', reason: 'reason' });
  });

  test('has room again after a record was forgotten', () => {
    const full = fullOf(2);
    full.complete('0');
    expect(full.store.forget('0')).toBe(true);
    expect(full.acquire('new')).toMatchObject({ outcome: 'acquired' });
  });

  test('says which bound was met and what to do, and no key', () => {
    const full = fullOf(2);
    expect(() => full.acquire('secret')).toThrow(/2 of 2 records \(maxRecords\).*Raise the bound/);
    expect(() => full.acquire('secret')).not.toThrow(/secret/);
  });
});

describe('MemoryStore within maxBytes', () => {
  test('refuses a reply that is too large, and leaves the claim alive', () => {
    const under = memoryStore({ maxBytes: 10_000 });
    under.acquire('id');
    const before = [under.store.find('id'), under.store.bytes];
    expect(() => under.complete('id', Buffer.alloc(10_000))).toThrow(StoreFullError);
    expect([under.store.find('id'), under.store.bytes]).toEqual(before);
    expect(under.complete('id', Buffer.alloc(1000))).toBe(true);
    expect(under.acquire('id')).toMatchObject({ outcome: 'completed' });
  });

  test('completes once others have expired', async () => {
    const under = memoryStore({ maxBytes: 10_000 });
    under.acquire('large');
    under.complete('large', Buffer.alloc(6000));
    await under.clock.advance(500);
    under.acquire('id');
    expect(() => under.complete('id', Buffer.alloc(6000))).toThrow(StoreFullError);
    await under.clock.advance(500);
    expect(under.complete('id', Buffer.alloc(6000))).toBe(true);
    expect(under.store.find('large')).toBeUndefined();
  });

  test('refuses a step that is too large, and keeps those that it has', () => {
    const { store, ...under } = memoryStore({ maxBytes: 10_000 });
    under.acquire('id');
    const save = (value: Uint8Array) =>
      store.saveStep({ ...under.claimOf('id'), name: 'step', value });
    expect(save(Buffer.alloc(5000))).toBe(true);
    expect(() => save(Buffer.alloc(10_000))).toThrow(StoreFullError);
    expect(store.find('id')?.steps.get('step')).toHaveLength(5000);
    // In place of the first one, not beside it.
    expect(save(Buffer.alloc(6000))).toBe(true);
  });

  test('counts fingerprints, owners and names', () => {
    const long = 'x'.repeat(5000);
    const { store, claimOf } = memoryStore({ maxBytes: 10_000 });
    expect(() => store.acquire({ ...claimOf('id'), fingerprint: long })).toThrow(StoreFullError);
    expect(() => store.acquire({ ...claimOf('id'), owner: long })).toThrow(StoreFullError);
    expect(store.size).toBe(0);
    store.acquire(claimOf('id'));
    const step = { ...claimOf('id'), name: long, value: Buffer.alloc(0) };
    expect(() => store.saveStep(step)).toThrow(StoreFullError);
    store.release(claimOf('id'));
    const bytes = store.bytes;
    expect(() => store.acquire({ ...claimOf('id'), fingerprint: long })).toThrow(StoreFullError);
    expect(store.find('id')).toMatchObject({ state: 'released', fingerprint: 'fingerprint' });
    expect(store.bytes).toBe(bytes);
  });

  test('holds a record whatever the reason takes: it must not run again', () => {
    const { store, ...under } = memoryStore({ maxBytes: 2000 });
    under.acquire('id');
    expect(store.hold({ ...under.claimOf('id'), reason: 'x'.repeat(5000) })).toBe(true);
    expect(under.acquire('id')).toMatchObject({ outcome: 'held' });
    expect(() => under.acquire('new')).toThrow(StoreFullError);
  });

  test('gives back what the reason took when a held record is settled', () => {
    const { store, ...under } = memoryStore();
    const reason = 'x'.repeat(5000);
    const bytesAfter = (settle: () => void): number => {
      under.acquire('id');
      settle();
      const { bytes } = store;
      store.forget('id');
      return bytes;
    };
    const released = bytesAfter(() => store.release(under.claimOf('id')));
    const heldAndReleased = bytesAfter(() => {
      store.hold({ ...under.claimOf('id'), reason });
      store.release({ ...under.claimOf('id'), from: 'held' });
    });
    expect(heldAndReleased).toBe(released);
    const completed = bytesAfter(() => under.complete('id'));
    const heldAndCompleted = bytesAfter(() => {
      store.hold({ ...under.claimOf('id'), reason });
      store.complete({ ...under.claimOf('id'), reply: Buffer.alloc(200), from: 'held' });
    });
    expect(heldAndCompleted).toBe(completed);
  });

  test('has nothing on its books when every record is gone, whichever way it went', async () => {
    const { store, clock, ...under } = memoryStore();
    const value = Buffer.alloc(100);
    for (const id of [
      'completed',
      'released',
      'held',
      'settled',
      'given up',
      'in flight',
      'twice',
    ]) {
      under.acquire(id);
      store.saveStep({ ...under.claimOf(id), name: 'step', value });
      store.saveStep({ ...under.claimOf(id), name: 'step', value: Buffer.alloc(50) });
    }
    store.issue({ id: 'issued', ttlMs: 1000 });
    under.complete('completed');
    for (const id of ['released', 'twice']) store.release(under.claimOf(id));
    store.acquire({ ...under.claimOf('twice'), owner: 'another, longer name' });
    for (const id of ['held', 'settled', 'given up'])
      store.hold({ ...under.claimOf(id), reason: id });
    store.complete({ ...under.claimOf('settled'), reply: value, from: 'held' });
    store.release({ ...under.claimOf('given up'), from: 'held' });
    expect(store.bytes).toBeGreaterThan(8 * 400);
    store.forget('held');
    await clock.advance(10_000);
    expect(store.purgeExpired(100)).toBe(7);
    expect([store.size, store.bytes, under.queued()]).toEqual([0, 0, 0]);
  });
});

describe('MemoryStore cleans up', () => {
  test('a little in each call, so that what has expired shrinks', async () => {
    const { store, clock, ...under } = memoryStore();
    for (let index = 0; index < 1000; index += 1) under.finish(`old ${index}`);
    await clock.advance(1000);
    expect(store.size).toBe(1000);
    under.acquire('new');
    expect(store.size).toBe(999);
    for (let index = 0; index < 999; index += 1) under.finish(`new ${index}`);
    expect(store.size).toBe(1000);
    expect(store.purgeExpired(10)).toBe(0);
  });

  test('as many as it is told, and says how many', async () => {
    const { store, clock, ...under } = memoryStore();
    for (let index = 0; index < 5; index += 1) under.finish(`${index}`);
    expect(store.purgeExpired(10)).toBe(0);
    await clock.advance(1000);
    expect([2, 0, 2, 2, 2].map((limit) => store.purgeExpired(limit))).toEqual([2, 0, 2, 1, 0]);
  });

  test('without a timer', () => {
    const { clock, ...under } = memoryStore();
    for (let index = 0; index < 100; index += 1) under.finish(`${index}`);
    expect(clock.pendingTimers).toBe(0);
  });

  test('and keeps one place in the queue for a record that is extended again and again', async () => {
    const { store, clock, ...under } = memoryStore();
    under.acquire('id');
    for (let round = 0; round < 1000; round += 1) {
      await clock.advance(500);
      expect(store.extend(under.claimOf('id'))).toBe(true);
    }
    expect(under.queued()).toBe(1);
    expect(store.bytes).toBeLessThan(1000);
  });

  test('after a lease of 60 days to the millisecond', async () => {
    const { store, clock, ...under } = memoryStore();
    const durationMs = 60 * 86_400_000;
    store.acquire({ ...under.claimOf('id'), leaseMs: durationMs, ttlMs: durationMs });
    await clock.advance(durationMs - 1);
    expect(under.acquire('id')).toEqual({ outcome: 'in-flight', leaseRemainingMs: 1 });
    await clock.advance(1);
    expect(store.find('id')).toMatchObject({
      leaseRemainingMs: 0,
      ttlRemainingMs: durationMs,
    });
    await clock.advance(durationMs - 1);
    expect(store.find('id')).toMatchObject({ ttlRemainingMs: 1 });
    await clock.advance(1);
    expect(store.find('id')).toBeUndefined();
  });
});

describe('MemoryStore watchers', () => {
  test('are forgotten when they stop', () => {
    const { store } = memoryStore();
    const stops = [1, 2, 3].map(() => store.watch('id', () => {}));
    stops.forEach((stop) => stop());
    expect(store['watchers']['byId'].size).toBe(0);
  });

  test('are not told after they stopped, not even what was on its way', async () => {
    const { store, ...under } = memoryStore();
    under.acquire('id');
    let calls = 0;
    const stop = store.watch('id', () => (calls += 1));
    store.release(under.claimOf('id'));
    stop();
    await Promise.resolve();
    expect(calls).toBe(0);
  });

  test('are told after the verb, not during it', async () => {
    const { store, ...under } = memoryStore();
    under.acquire('id');
    const log: string[] = [];
    store.watch('id', () => log.push('woken'));
    store.watch('other', () => log.push('woken for another record'));
    under.complete('id');
    log.push('completed');
    await Promise.resolve();
    store.forget('id');
    await Promise.resolve();
    expect(log).toEqual(['completed', 'woken', 'woken']);
  });
});

describe('MemoryStore options', () => {
  test.each([
    ['maxRecords', 0],
    ['maxRecords', -1],
    ['maxRecords', 1.5],
    ['maxRecords', NaN],
    ['maxRecords', Infinity],
    ['maxRecords', 2 ** 23 + 1],
    ['maxBytes', 0],
    ['maxBytes', Infinity],
  ])('refuse %s of %d, and say what is accepted', (name, value) => {
    expect(() => new MemoryStore({ [name]: value })).toThrow(RangeError);
    expect(() => new MemoryStore({ [name]: value })).toThrow(
      new RegExp(`${name} is ${value}; it must be a whole number from 1 to \\d+\\. Leave it out`),
    );
  });

  test('accept the largest', () => {
    expect(() => new MemoryStore({ maxRecords: 2 ** 23, maxBytes: 2 ** 40 })).not.toThrow();
  });
});

/** So many records in flight, and room for no more. */
function fullOf(maxRecords: number) {
  const under = memoryStore({ maxRecords });
  for (let index = 0; index < maxRecords; index += 1) under.acquire(`${index}`);
  return under;
}
