import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { HeldLock, LockService } from '../../src/engine/lock-service.js';
import { type Child, ChildProgram, end } from '../support/child-program.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { fourLetters } from '../support/servers/zookeeper.js';
import { eventually } from '../support/http.js';
import { type LockClient, openLocks } from './support/lock-clients.js';
import { startLockServer } from './support/lock-servers.js';

const LEASE_MS = 3_000;

describe.each(['etcd', 'ZooKeeper'] as const)('a lock in %s', (name) => {
  let program: ChildProgram;
  let server: PrivateServer;
  let client: LockClient;
  let id: string;

  beforeAll(async () => {
    program = await ChildProgram.compile('test/locks/programs/holder.ts');
    server = await startLockServer(name);
  }, 120_000);
  beforeEach(() => {
    id = randomBytes(32).toString('hex');
    client = openLocks(name, server.port, LEASE_MS);
  });
  afterEach(() => client.stop());
  afterAll(async () => {
    await program?.stop();
    await server?.stop();
  });

  const holder = (): Promise<Child<{ readonly token: number }>> =>
    program.start({
      SERVER: name,
      PORT: String(server.port),
      ID: id,
      LEASE_MS: String(LEASE_MS),
    });
  const ask = async (locks: LockService, waits: boolean): Promise<HeldLock | undefined> =>
    locks.acquire({
      id,
      leaseMs: LEASE_MS,
      waits,
      signal: new AbortController().signal,
      onWait: () => undefined,
    });

  it('goes to the next, with a higher token, after its holder was killed', async () => {
    const dead = await holder();
    expect(await ask(client.locks, false)).toBeUndefined();
    dead.process.kill('SIGKILL');
    const next = await ask(client.locks, true);
    expect(next!.fencingToken).toBeGreaterThan(dead.ready.token);
    await next!.release();
  }, 60_000);

  it('goes to the next while its holder is paused, who finds out and touches nothing', async () => {
    const paused = await holder();
    paused.process.kill('SIGSTOP');
    const next = await ask(client.locks, true);
    expect(next!.fencingToken).toBeGreaterThan(paused.ready.token);

    const lost = once(paused.process, 'message');
    paused.process.kill('SIGCONT');
    expect(await lost).toEqual(['lost', undefined]);
    const told = once(paused.process, 'message');
    paused.process.send('release');
    expect((await told)[0]).toEqual({ isHeld: false, wasOurs: false });
    expect(await ask(client.locks, false)).toBeUndefined();
    expect(await next!.release()).toBe(true);
    await end(paused.process);
  }, 60_000);

  it('is refused while the server cannot be reached, and there again afterwards', async () => {
    await (await ask(client.locks, true))!.release();
    await server.restart();
    await eventually(async () => {
      const held = await ask(client.locks, true).catch(() => undefined);
      return held !== undefined && (await held.release());
    });
    expect(await ask(client.locks, false)).toBeDefined();
  }, 60_000);
});

describe('a queue in ZooKeeper', () => {
  it('has one watch for each that waits, on the one before', async () => {
    const server = await startLockServer('ZooKeeper');
    const clients = Array.from({ length: 6 }, () => openLocks('ZooKeeper', server.port, 30_000));
    try {
      const id = randomBytes(32).toString('hex');
      const order: number[] = [];
      const answers: Promise<void>[] = [];
      const [first, ...others] = clients;
      const request = { id, leaseMs: 1, waits: true, signal: new AbortController().signal };
      const held = await first!.locks.acquire({ ...request, onWait: () => undefined });
      for (const [at, { locks }] of others.entries()) {
        await new Promise<void>((onWait) => {
          const answer = locks.acquire({ ...request, onWait });
          answers.push(
            answer.then(async (next) => {
              order.push(at);
              await next!.release();
            }),
          );
        });
      }
      // "5 connections watching 5 paths\nTotal watches:5": a herd would watch one path.
      await eventually(async () =>
        /watching 5 paths\s+Total watches:5/.test(await fourLetters(server.port, 'wchs')),
      );
      await held!.release();
      await Promise.all(answers);
      expect(order).toEqual([0, 1, 2, 3, 4]);
    } finally {
      for (const client of clients) client.stop();
      await server.stop();
    }
  }, 60_000);
});
