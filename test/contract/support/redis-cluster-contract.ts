import { Redis } from 'ioredis';
import { type ContractCase } from 'nestjs-idempotency/testing';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { REDIS_CLUSTER_CLIENTS, type RedisClient } from '../../support/redis-clients.js';
import { type RedisCluster, startRedisCluster } from '../../support/servers/redis-cluster.js';
import { eventually } from '../../support/http.js';
import { SocketWrites } from '../../support/socket-writes.js';
import { itKeeps } from './it-keeps.js';

const TICK_MS = 250;

/** @param casesFor the cases for the client of this name */
export function describeClusterContract(casesFor: (name: string) => readonly ContractCase[]): void {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
  });

  afterAll(() => cluster?.stop());

  describe.each(REDIS_CLUSTER_CLIENTS)(
    'RedisStore through a Cluster client of $name keeps the contract',
    ({ name, open }) => {
      let clients: RedisClient[] = [];

      beforeAll(async () => {
        clients = [await open(cluster.ports), await open(cluster.ports)];
      });

      afterAll(() => {
        for (const { store, disconnect } of clients) {
          store.close();
          disconnect();
        }
      });

      it('and spreads its records over all nodes, each under a key of its own', async () => {
        const { store } = clients[0]!;
        const admins = cluster.ports.map((port) => new Redis(port));
        const sizes = (): Promise<number[]> => Promise.all(admins.map((admin) => admin.dbsize()));
        try {
          await Promise.all(admins.map((admin) => admin.flushall()));
          for (let i = 0; i < 60; i++) {
            const id = createHash('sha256').update(`${i}`).digest('hex');
            const claim = { id, owner: 'owner', leaseMs: 10_000, ttlMs: 10_000 };
            await store.acquire({ ...claim, fingerprint: 'content' });
            await store.saveStep({ ...claim, name: 'charge', value: Buffer.from('result') });
            await store.complete({ ...claim, reply: Buffer.from('reply') });
          }
          const counts = await sizes();
          expect(counts.reduce((sum, count) => sum + count)).toBe(60);
          expect(Math.min(...counts)).toBeGreaterThan(0);
        } finally {
          admins.forEach((admin) => admin.disconnect());
        }
      });

      it('and sends the commands of one turn in one write to each node', async () => {
        const { store } = clients[0]!;
        const writes = new SocketWrites(cluster.ports);
        try {
          const claims = await Promise.all(
            Array.from({ length: 30 }, (_, i) =>
              store.acquire({
                id: `${name} ${i}`,
                owner: 'owner',
                fingerprint: '',
                leaseMs: 10_000,
                ttlMs: 10_000,
              }),
            ),
          );
          expect(claims.every(({ outcome }) => outcome === 'acquired')).toBe(true);
          expect(writes.count).toBe(cluster.ports.length);
        } finally {
          writes.stop();
        }
      });

      it('and tells of a change only where somebody waits, and only the node that has the key', async () => {
        const [owner, other] = clients.map((client) => client.store);
        const admins = cluster.ports.map((port) => new Redis(port));
        const published = async (): Promise<Record<string, number>> => {
          const counts = { publish: 0, spublish: 0 };
          for (const admin of admins)
            for (const [, verb, calls] of (await admin.info('commandstats')).matchAll(
              /^cmdstat_(s?publish):calls=(\d+)/gm,
            ))
              counts[verb as keyof typeof counts] += Number(calls);
          return counts;
        };
        try {
          await Promise.all(admins.map((admin) => admin.config('RESETSTAT')));
          const claim = { owner: 'owner', fingerprint: '', leaseMs: 30_000, ttlMs: 10_000 };
          const [alone, awaited] = [`alone ${name}`, `awaited ${name}`];
          await owner!.acquire({ ...claim, id: alone });
          await owner!.complete({ ...claim, id: alone, reply: Buffer.from('reply') });
          expect(await published()).toEqual({ publish: 0, spublish: 0 });
          await owner!.acquire({ ...claim, id: awaited });
          let woken = 0;
          const stop = other!.watch(awaited, () => void (woken += 1));
          await eventually(() => woken === 1);
          await owner!.complete({ ...claim, id: awaited, reply: Buffer.from('reply') });
          await eventually(() => woken === 2);
          stop();
          expect(await published()).toEqual({ publish: 0, spublish: 1 });
        } finally {
          admins.forEach((admin) => admin.disconnect());
        }
      });

      it('and starts without a complaint', async () => {
        const warnings: string[] = [];
        await clients[0]!.store.start((warning) => warnings.push(warning));
        expect(warnings).toEqual([]);
      });

      itKeeps(casesFor(name), () => {
        const [store, other] = clients.map((client) => client.store);
        return { store: store!, other: other!, tickMs: TICK_MS, elapse: (ms) => sleep(ms + 1) };
      });
    },
  );
}
