import { Redis } from 'ioredis';
import { RedisStore } from '../../src/stores/redis/index.js';
import { storeContract } from 'nestjs-idempotency/testing';

describe('redis', () => {
  const a = new Redis(7399, { keyPrefix: 'app:' });
  const b = new Redis(7399, { keyPrefix: 'app:', enableAutoPipelining: true });
  const store = new RedisStore({ client: a });
  const other = new RedisStore({ client: b });
  afterAll(async () => { await store.close(); await other.close(); a.disconnect(); b.disconnect(); });
  it('starts', async () => { await store.start((w) => console.log(w)); });
  it.each(storeContract.map((c) => [`${c.guarantee} ${c.name}`, c] as const))('%s', async (_n, c) => {
    await c.run({ store, other, tickMs: 100, elapse: (ms) => new Promise((r) => setTimeout(r, ms + 5)) });
  });
});
