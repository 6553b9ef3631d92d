import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { IdempotencyStore } from '../../src/engine/store.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  newWorld,
  type Process,
  settled,
} from '../support/engine.js';

expectNothingLeft();

/** A process whose calls are kept by the store that is current. */
function ofTenants(): { process: Process; at: (store: IdempotencyStore) => void } {
  let current: IdempotencyStore | undefined;
  const root = new MemoryStore();
  const store = new Proxy(root, {
    get: (target, name) => {
      if (name === 'ofCall') return () => current;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { process: newWorld().start({ store }), at: (tenant) => void (current = tenant) };
}

describe('the places of tenants', () => {
  test('never meet, although their calls have one id', async () => {
    const { process, at } = ofTenants();
    const [a, b] = [new MemoryStore(), new MemoryStore()];
    at(a);
    const first = await process.claim();
    at(b);
    const second = await process.claim();
    await first.complete(bytes('of a'));
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await second.complete(bytes('of b'));
    expect(await process.ask()).toBe('replay of b');
    at(a);
    expect(await process.ask()).toBe('replay of a');
  });

  test('are waited for by a shutdown, and are idle when their calls have ended', async () => {
    const { process, at } = ofTenants();
    at(new MemoryStore());
    const claim = await process.claim();
    expect(process.engine.isIdle).toBe(false);
    const drained = follow(process.engine.drain(60_000));
    await settled();
    expect(drained.value).toBeUndefined();
    await claim.complete(bytes('reply'));
    await settled();
    expect(drained.value).toBe(0);
    expect(process.engine.isIdle).toBe(true);
  });

  test('are forgotten with their stores, whatever their calls came to', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { process, at } = ofTenants();
    const left: WeakRef<object>[] = [];
    const call = async (how: 'complete' | 'release'): Promise<void> => {
      const store = new MemoryStore();
      left.push(new WeakRef(store));
      at(store);
      const claim = await process.claim();
      expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
      await (how === 'complete' ? claim.complete(bytes('reply')) : claim.release());
    };
    for (const how of ['complete', 'release'] as const) await call(how);
    at(new MemoryStore());
    process.events.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
    expect(left.filter((each) => each.deref() !== undefined)).toEqual([]);
  });
});
