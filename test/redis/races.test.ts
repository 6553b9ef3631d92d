import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { type Child, ChildProgram, nextMessage } from '../support/child-program.js';
import { bytes, tally } from '../support/engine.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { eventually } from '../support/http.js';
import type { Race, Result } from './support/race.js';

const PROCESSES = 4;
const CALLERS = 64;
const ROUNDS = 50;
const ALL = PROCESSES * CALLERS;

let server: PrivateServer;
let client: Redis;
let store: RedisStore;
let program: ChildProgram;
let racers: Child<string>[];

beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.port);
  store = new RedisStore({ client });
  program = await ChildProgram.compile('test/redis/programs/racer.ts');
  const env = { REDIS_PORT: String(server.port) };
  racers = await Promise.all(Array.from({ length: PROCESSES }, () => program.start<string>(env)));
}, 60_000);

afterAll(async () => {
  await program?.stop();
  client?.disconnect();
  await server?.stop();
});

const claimOf = (id: string, leaseMs: number) => ({
  id,
  owner: 'parent',
  fingerprint: 'content',
  leaseMs,
  retentionMs: 60_000,
});

async function race(given: Omit<Race, 'callers'>): Promise<Record<string, number>> {
  const results = racers.map(({ process }) => nextMessage<Result>(process));
  racers.forEach(({ process }) => process.send({ ...given, callers: CALLERS }));
  return tally((await Promise.all(results)).flat());
}

describe.each([
  ['store', 'acquired', 'in-flight', 'completed'],
  ['engine', 'execute', 'IDEMPOTENCY_KEY_IN_USE', 'replay'],
] as const)('4 processes with 64 callers each, through the %s', (through, won, busy, done) => {
  it('have one winner on a free key, every time', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = `${through} free ${round}`;
      expect(await race({ id, through })).toEqual({ [won]: 1, [busy]: ALL - 1 });
    }
  });

  it('have one winner on a claim that ran out, every time', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = `${through} expired ${round}`;
      await store.acquire(claimOf(id, 1));
      await eventually(async () => (await store.find(id))!.leaseRemainingMs! <= 0);
      expect(await race({ id, through })).toEqual({ [won]: 1, [busy]: ALL - 1 });
      expect(await store.find(id)).toMatchObject({ state: 'in-flight', attempt: 2 });
    }
  });

  it('have no winner beside the one that completes meanwhile, and all get its reply after', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = `${through} completed ${round}`;
      const claim = claimOf(id, 60_000);
      await store.acquire(claim);
      const [meanwhile, completed] = await Promise.all([
        race({ id, through }),
        store.complete({ ...claim, reply: bytes('reply') }),
      ]);
      expect(completed).toBe(true);
      const { [busy]: early = 0, [done]: late = 0 } = meanwhile;
      expect(early + late).toBe(ALL);
      expect(await race({ id, through })).toEqual({ [done]: ALL });
    }
  });
});
