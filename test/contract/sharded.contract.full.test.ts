import { Controller, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { Idempotent } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { shardedStore, type ShardedStore } from 'nestjs-idempotency/sharded';
import { ManualClock, storeContract } from 'nestjs-idempotency/testing';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../../src/testing/contract/support.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { AppNode } from '../processes/support/nodes.js';
import { bytes, tally } from '../support/engine.js';
import { boot, eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';

const TICK_MS = 400;

describe('three memory stores side by side keep the contract', () => {
  for (const { guarantee, name, run } of storeContract) {
    // oxlint-disable-next-line jest/expect-expect -- the cases assert
    test(`${guarantee}: ${name}`, async () => {
      const clock = new ManualClock();
      const store = shardedStore([1, 2, 3].map(() => new MemoryStore({ clock })));
      await run({ store, other: store, tickMs: 200, elapse: (ms) => clock.advance(ms) });
    });
  }
});

describe('an application whose store is several side by side', () => {
  test.each([
    ['transactions', { transaction: true }, {}, /transaction.*which has no transactions/s],
    ['limits', {}, { limits: { inFlight: 2 } }, /limits.*ShardedStore does not/s],
  ])('does not start if it needs %s', async (_, own, all, told) => {
    @Controller()
    class Payments {
      @Post('payments')
      @Idempotent(own)
      pay(): string {
        return 'paid';
      }
    }
    const store = shardedStore([new MemoryStore(), new MemoryStore()]);
    const started = boot('express', { controllers: [Payments], idempotency: { store, ...all } });
    await expect(started).rejects.toThrow(told);
  });
});

describe('three servers of Redis side by side', () => {
  let servers: PrivateServer[];
  const opened: { store: ShardedStore; close: () => Promise<void> }[] = [];

  function open(): { store: ShardedStore; close: () => Promise<void> } {
    const clients = servers.map(({ port }) => new Redis(port, { retryStrategy: () => 50 }));
    for (const client of clients) client.on('error', () => undefined);
    const store = shardedStore(clients.map((client) => new RedisStore({ client })));
    const one = {
      store,
      async close() {
        await store.close();
        for (const client of clients) client.disconnect();
      },
    };
    opened.push(one);
    return one;
  }

  beforeAll(async () => {
    servers = await Promise.all([startRedis(), startRedis(), startRedis()]);
  });

  afterAll(async () => {
    for (const one of opened) await one.close();
    for (const server of servers) await server.stop();
  });

  describe('keep the contract', () => {
    for (const { guarantee, name, run } of storeContract) {
      // oxlint-disable-next-line jest/expect-expect -- the cases assert
      test(`${guarantee}: ${name}`, async () => {
        const [one, two] = [opened[0] ?? open(), opened[1] ?? open()];
        const elapse = (ms: number): Promise<void> => sleep(ms + 1);
        await run({ store: one.store, other: two.store, tickMs: TICK_MS, elapse });
      });
    }
  });

  test('under load, one that dies takes only its own keys, and nothing runs twice', async () => {
    const nodes = [1, 2].map(() => new AppNode(open(), 500, { failures: 3, pauseMs: 100 }));
    const runs: string[] = [];
    const told: { readonly isOfDead: boolean; readonly word: string }[] = [];
    const dead = 'shard 2 of 3';
    let isOver = false;
    let isDead = false;
    const call = async (node: AppNode, id: string): Promise<void> => {
      const isOfDead = (node.store as ShardedStore).partOf(id).name === dead;
      const startedDead = isDead;
      const beginning = await node.begin({ id });
      if (beginning.outcome === 'execute') {
        runs.push(id);
        await beginning.claim.complete(bytes(id));
      }
      const word = beginning.outcome === 'refused' ? beginning.code : beginning.outcome;
      if (startedDead && isDead) told.push({ isOfDead, word });
    };
    const load = async (): Promise<void> => {
      while (!isOver) {
        const id = newId();
        await Promise.all(nodes.map((node) => call(node, id)));
        await call(nodes[0]!, id);
      }
    };
    const callers = Array.from({ length: 8 }, load);
    await eventually(() => runs.length > 100);
    await servers[1]!.kill();
    isDead = true;
    await eventually(() => told.length > 500);
    isDead = false;
    await servers[1]!.restart();
    await eventually(async () => {
      const id = `1${newId().slice(1)}`;
      return (nodes[0]!.store as ShardedStore).partOf(id).name === dead
        ? (await nodes[0]!.ask({ id })).told === 'execute'
        : false;
    });
    isOver = true;
    await Promise.all(callers);
    for (const node of nodes) node.engine.stop();

    const unavailable = 'IDEMPOTENCY_STORE_UNAVAILABLE';
    const ofOthers = told.filter(({ isOfDead }) => !isOfDead).map(({ word }) => word);
    const ofDead = told.filter(({ isOfDead }) => isOfDead).map(({ word }) => word);
    expect(ofOthers).not.toContain(unavailable);
    expect(ofOthers.length).toBeGreaterThan(50);
    expect(ofDead).not.toContain('execute');
    expect(ofDead).toContain(unavailable);
    expect(Math.max(...Object.values(tally(runs)))).toBe(1);
  });
});
