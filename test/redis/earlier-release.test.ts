import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { claimOf } from '../support/claims.js';
import { bytes } from '../support/engine.js';
import { sharedRedis, type SharedServer } from '../support/servers/shared.js';

let server: SharedServer;
let admin: Redis;

beforeAll(async () => {
  server = await sharedRedis();
  admin = new Redis(server.url);
});

afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

describe('a record of a release without stories', () => {
  const STEPS = { charge: 'charged' };
  const CLAIM = { scope: 'POST /payments', label: 'order 4711' };

  /** As that release has packed it; `waited` only if somebody waits. */
  async function pack(id: string, state: string, given: object = {}): Promise<void> {
    const script = `
      local r = cjson.decode(ARGV[1])
      local fields = { r.state, r.owner, r.attempt, 7, r.fingerprint, r.lease, r.lease_ms, r.steps, r.content, r.waited }
      redis.call('SET', KEYS[1], cmsgpack.pack(unpack(fields, 1, r.waited and 10 or 9)), 'PX', 600000)`;
    const record = { state, owner: 'old', attempt: 1, fingerprint: 'content', lease: 0 };
    const rest = { lease_ms: 600_000, steps: false, content: '', ...given };
    await admin.eval(script, 1, `idempotency:${id}`, JSON.stringify({ ...record, ...rest }));
  }

  it('is read, claimed, completed and settled', async () => {
    const store = new RedisStore({ client: admin });
    const claim = (id: string) =>
      store.acquire({ ...claimOf(), ...CLAIM, id, fingerprint: 'content' });
    const story = async (id: string) => (await store.find(id))?.story;

    await pack('completed', 'c', { content: 'paid' });
    expect(await claim('completed')).toMatchObject({ outcome: 'completed', reply: bytes('paid') });
    expect(await story('completed')).toEqual({});

    await pack('running', 'i', { lease: Date.now() + 600_000, waited: 'p' });
    expect(await claim('running')).toMatchObject({ outcome: 'in-flight' });
    const done = { id: 'running', owner: 'old', reply: bytes('paid'), ttlMs: 600_000 };
    expect(await store.complete(done)).toBe(true);

    await pack('abandoned', 'i', { lease: 1, steps: STEPS });
    expect((await store.list({ state: 'abandoned', limit: 10 })).records).toHaveLength(1);
    await pack('released', 'r', { steps: STEPS });
    for (const id of ['abandoned', 'released']) {
      expect(await claim(id)).toMatchObject({
        outcome: 'acquired',
        attempt: 2,
        abandoned: id === 'abandoned',
        steps: new Map([['charge', bytes('charged')]]),
      });
      expect(await story(id)).toEqual({ ...CLAIM, claimedAt: expect.any(Number) as number });
    }

    await pack('held', 'h', { content: 'no answer' });
    expect(await claim('held')).toEqual({ outcome: 'held', reason: 'no answer' });
    const settledBy = { by: 'ops', reason: 'paid' };
    expect(await store.complete({ ...done, id: 'held', from: 'held', settledBy })).toBe(true);
    expect(await story('held')).toMatchObject({ settledBy });
  });

  it('is what a process of that release reads of one with a story', async () => {
    const store = new RedisStore({ client: admin });
    const request = { ...claimOf(), ...CLAIM };
    await store.acquire(request);
    await store.saveStep({ ...request, name: 'charge', value: bytes('charged') });
    const failure = { name: 'Error', message: 'no answer' };
    await store.hold({ ...request, reason: 'unknown', failure });
    const script =
      "local r = { cmsgpack.unpack(redis.call('GET', KEYS[1])) } " +
      'return { r[1], r[2], r[3], r[5], r[8].charge, r[9], r[10] and 1 or 0 }';
    expect(await admin.eval(script, 1, `idempotency:${request.id}`)).toEqual([
      'h',
      request.owner,
      1,
      request.fingerprint,
      'charged',
      'unknown',
      0,
    ]);
  });
});
