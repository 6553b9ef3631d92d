import { type ContractCase } from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { REDIS_CLIENTS, type RedisClient } from '../../support/redis-clients.js';
import { sharedRedis, type SharedServer } from '../../support/servers/shared.js';
import { itKeeps } from './it-keeps.js';

const TICK_MS = 250;

/** @param casesFor the cases for the client of this name */
export function describeRedisContract(casesFor: (name: string) => readonly ContractCase[]): void {
  let server: SharedServer;

  beforeAll(async () => {
    server = await sharedRedis();
  });

  afterAll(() => server.stop());

  const clients = REDIS_CLIENTS.filter(({ name }) => casesFor(name).length > 0);
  describe.each(clients)('RedisStore through $name keeps the contract', ({ name, open }) => {
    let opened: RedisClient[] = [];

    beforeAll(async () => {
      opened = [await open(server.url), await open(server.url)];
    });

    afterAll(() => {
      for (const { store, disconnect } of opened) {
        store.close();
        disconnect();
      }
    });

    itKeeps(casesFor(name), () => {
      const [store, other] = opened.map((client) => client.store);
      return { store: store!, other: other!, tickMs: TICK_MS, elapse: (ms) => sleep(ms + 1) };
    });
  });
}
