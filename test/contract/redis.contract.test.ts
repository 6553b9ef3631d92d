import { storeContract } from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { REDIS_CLIENTS, type RedisClient } from '../support/redis-clients.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

const TICK_MS = 100;

describe.each(REDIS_CLIENTS)('RedisStore through $name keeps the contract', ({ open }) => {
  let server: PrivateServer;
  let clients: RedisClient[] = [];

  beforeAll(async () => {
    server = await startRedis();
    clients = [await open(server.port), await open(server.port)];
  });

  afterAll(async () => {
    for (const { store, disconnect } of clients) {
      store.close();
      disconnect();
    }
    await server.stop();
  });

  it.each(storeContract.map((one) => ({ name: `${one.guarantee}: ${one.name}`, run: one.run })))(
    '$name',
    async ({ run }) => {
      const [store, other] = clients.map((client) => client.store) as [
        RedisClient['store'],
        RedisClient['store'],
      ];
      const harness = { store, other, tickMs: TICK_MS, elapse: (ms: number) => sleep(ms + 1) };
      await expect(run(harness)).resolves.toBeUndefined();
    },
  );
});
