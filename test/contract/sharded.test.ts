import type { IdempotencyStore } from '../../src/engine/store.js';
import { isTransactional } from '../../src/engine/transaction.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { shardedStore } from '../../src/stores/sharded/index.js';
import { FaultInjectingStore, failBefore, ManualClock } from '../../src/testing/index.js';
import { newId, win } from '../../src/testing/contract/support.js';

const silent = (): void => undefined;

describe('three stores side by side', () => {
  const shards = (): FaultInjectingStore[] =>
    [1, 2, 3].map(() => new FaultInjectingStore(new MemoryStore()));

  test('share the records between them, each on one', async () => {
    const all = shards();
    const store = shardedStore(all);
    for (let i = 0; i < 60; i++) {
      const { request } = await win(store);
      expect(all.filter((one) => one === store.partOf(request.id).store)).toHaveLength(1);
      await store.release({ ...request, ttlMs: 1_000 });
    }
    for (const { calls } of all) expect(calls.length).toBeGreaterThan(10);
  });

  test('fail each by itself', async () => {
    const all = shards();
    all[1]!.always('acquire', failBefore());
    const store = shardedStore(all);
    for (let i = 0; i < 30; i++) {
      const id = newId();
      const isOnDead = store.partOf(id).name === 'shard 2 of 3';
      const outcome = await win(store, { id }).then(
        () => 'acquired',
        () => 'failed',
      );
      expect(outcome).toBe(isOnDead ? 'failed' : 'acquired');
    }
  });

  test('start in the same order again, and in no other', async () => {
    const [a, b, c] = shards() as [FaultInjectingStore, FaultInjectingStore, FaultInjectingStore];
    await shardedStore([a, b, c]).start(silent);
    await shardedStore([a, b, c]).start(silent);
    await expect(shardedStore([a, c, b]).start(silent)).rejects.toThrow(
      'the store that was shard 3 of 3, as shard 2 of 3',
    );
    await expect(shardedStore([a, b]).start(silent)).rejects.toThrow('generation');
    await shardedStore([c, b], { generation: 2 }).start(silent);
  });

  test('start with one that cannot be reached, and warn', async () => {
    const all = shards();
    all[2]!.always('acquire', failBefore());
    const warnings: string[] = [];
    await shardedStore(all).start((warning) => warnings.push(warning));
    expect(warnings).toEqual([expect.stringMatching(/^shard 3 of 3: /)]);
  });

  test('purge what has expired on each, also beside one that fails', async () => {
    const clock = new ManualClock();
    const stores = [1, 2, 3].map(() => new FaultInjectingStore(new MemoryStore({ clock })));
    const store = shardedStore(stores);
    for (let i = 0; i < 30; i++) {
      const { request } = await win(store, { leaseMs: 1, ttlMs: 1 });
      await store.complete({ ...request, reply: Buffer.from('done'), ttlMs: 1 });
    }
    await clock.advance(10);
    stores[0]!.always('purgeExpired', failBefore());
    const before = stores.flatMap(({ calls }) => calls).length;
    expect(await store.purgeExpired!(5)).toBe(5);
    expect(await store.purgeExpired!(1_000)).toBeGreaterThan(0);
    await expect(store.purgeExpired!(1_000)).rejects.toThrow('injected');
    expect(stores.flatMap(({ calls }) => calls).length).toBeGreaterThan(before);
  });

  test('have neither transactions nor limits, even if each of them has', () => {
    const store = shardedStore(shards());
    expect(shards()[0]!.prepareLimits).toBeDefined();
    expect(isTransactional(store)).toBe(false);
    expect((store as IdempotencyStore).prepareLimits).toBeUndefined();
  });

  test('list no page without the held records of one that fails, and go on after it', async () => {
    const all = shards();
    const store = shardedStore(all);
    const held = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const { request } = await win(store);
      await store.hold({ ...request, reason: 'unknown' });
      held.add(request.id);
    }
    const list = async (): Promise<void> => {
      const listed: string[] = [];
      let after: string | undefined;
      do {
        const { records, next } = await store.list!({ state: 'held', limit: 4, after });
        listed.push(...records.map(({ id }) => id));
        after = next;
      } while (after !== undefined);
      expect(listed).toHaveLength(held.size);
      expect(new Set(listed)).toEqual(held);
    };
    all[1]!.next('list', failBefore());
    await expect(list()).rejects.toThrow('injected');
    await list();
  });

  test('wake who waits at one, whatever another does', async () => {
    const stores = shards();
    Object.assign(stores[1]!, {
      watch: () => {
        throw new Error('no subscriptions');
      },
    });
    const store = shardedStore(stores);
    const idOn = (shard: string): string => {
      for (;;) {
        const id = newId();
        if (store.partOf(id).name === shard) return id;
      }
    };
    expect(() => store.watch!(idOn('shard 2 of 3'), silent)).toThrow('no subscriptions');
    const id = idOn('shard 3 of 3');
    const { request } = await win(store, { id });
    let woken = 0;
    const stop = store.watch!(id, () => (woken += 1));
    await store.release({ ...request, ttlMs: 1_000 });
    stop();
    expect(woken).toBe(1);
  });

  test.each([
    ['none', []],
    ['one', [new MemoryStore()]],
    ['the same twice', Array<MemoryStore>(2).fill(new MemoryStore())],
    ['what is no store', [new MemoryStore(), {} as MemoryStore]],
    ['stores of stores', [new MemoryStore(), shardedStore([new MemoryStore(), new MemoryStore()])]],
  ])('are refused when they are %s', (_, given) => {
    expect(() => shardedStore(given)).toThrow(/shards of shardedStore\(\)/);
  });

  test('are refused with a generation that is no number', () => {
    expect(() => shardedStore(shards(), { generation: 0 })).toThrow(/generation/);
  });
});
