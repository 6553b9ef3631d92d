import { isPending } from '../../src/engine/awaitable.js';
import type { Claim } from '../../src/engine/claim.js';
import {
  bytes,
  claimIn,
  expectNothingLeft,
  type Given,
  newWorld,
  type Process,
  TTL_MS,
  RETRY_AFTER_MS,
  type World,
} from '../support/engine.js';

expectNothingLeft();

function claimAtOnce(process: Process, given?: Given): Claim {
  const beginning = process.begin(given);
  if (isPending(beginning)) throw new Error('begin() answered with a promise');
  return claimIn(beginning);
}

const STORES: [how: string, world: () => World][] = [
  ['at once', () => newWorld()],
  ['with promises', () => newWorld().answerLater()],
];

describe.each(STORES)('over a store that answers %s', (_how, start) => {
  test('runs the first call and replays its reply to the next', async () => {
    const { process, store, clock } = start();
    const claim = await process.claim();
    expect(claim).toMatchObject({ id: 'payment', attempt: 1, isRunning: true });
    expect(claim.steps.size).toBe(0);
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
    expect(claim.isRunning).toBe(false);
    expect(await process.ask()).toBe('replay paid');
    // One call to claim and one to record; one for the replay.
    expect(store.calls.map(({ verb }) => verb)).toEqual(['acquire', 'complete', 'acquire']);
    expect(clock.pendingTimers).toBe(0);
  });

  test('replays every byte', async () => {
    const { process } = start();
    const reply = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    await (await process.claim()).complete(reply);
    const beginning = await process.begin();
    expect(beginning.outcome === 'replay' && [...beginning.reply]).toEqual([...reply]);
  });

  test('refuses a duplicate while the first call runs, and says when to come again', async () => {
    const world = start();
    const claim = await world.process.claim();
    const before = world.record();
    expect(await world.process.begin()).toMatchObject({
      outcome: 'refused',
      code: 'IDEMPOTENCY_KEY_IN_USE',
      retryAfterMs: RETRY_AFTER_MS,
    });
    expect(world.record()).toEqual(before);
    await claim.release();
  });

  test('runs again after a release, as the next attempt with a larger fencing token', async () => {
    const { process } = start();
    const claims: Claim[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      const claim = await process.claim();
      expect(claim.attempt).toBe(attempt);
      await claim.release();
      expect(claim.isRunning).toBe(false);
      claims.push(claim);
    }
    const tokens = claims.map(({ fencingToken }) => fencingToken);
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
  });

  test('answers a held operation with nothing that invites a retry', async () => {
    const world = start();
    const claim = await world.process.claim();
    expect(await claim.hold('the bank does not answer')).toEqual({ outcome: 'stored' });
    expect(claim.isRunning).toBe(false);
    expect(world.record()).toMatchObject({ state: 'held', reason: 'the bank does not answer' });
    expect(await world.process.begin()).toMatchObject({
      outcome: 'refused',
      code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
      retryAfterMs: undefined,
    });
  });

  test('tells operations apart by their ids', async () => {
    const { process } = start();
    const lower = await process.claim({ id: 'k' });
    const upper = await process.claim({ id: 'K' });
    await lower.complete(bytes('lower'));
    await upper.complete(bytes('upper'));
    expect(await process.ask({ id: 'k' })).toBe('replay lower');
    expect(await process.ask({ id: 'K' })).toBe('replay upper');
  });

  test('forgets a reply when its ttl has passed, and starts at attempt 1', async () => {
    const { process, clock } = start();
    await (await process.claim()).complete(bytes('paid'));
    await clock.advance(TTL_MS - 1);
    expect(await process.ask()).toBe('replay paid');
    await clock.advance(1);
    const claim = await process.claim();
    expect(claim.attempt).toBe(1);
    await claim.release();
  });

  test.each([
    ['shorter', 10_000],
    ['longer', 60 * TTL_MS],
  ])('keeps a reply for the %s ttl that the handler sets', async (_which, ttlMs) => {
    const { process, clock } = start();
    const claim = await process.claim();
    claim.setTtl(ttlMs);
    await claim.complete(bytes('paid'));
    await clock.advance(ttlMs - 1);
    expect(await process.ask()).toBe('replay paid');
    await clock.advance(1);
    await (await process.claim()).release();
  });

  test('claims only what was issued where the call asks for it', async () => {
    const { process, memory } = start();
    const refuseUnknown = 'IDEMPOTENCY_KEY_INVALID';
    expect(await process.ask({ refuseUnknown })).toBe(refuseUnknown);
    memory.issue({ id: 'payment', ttlMs: TTL_MS });
    await (await process.claim({ refuseUnknown })).complete(bytes('paid'));
    expect(await process.ask({ refuseUnknown })).toBe('replay paid');
  });

  test('refuses a finished duplicate as such where the policy says reject', async () => {
    const { process } = start();
    const claim = await process.claim({ onDuplicate: 'reject' });
    expect(await process.ask({ onDuplicate: 'reject' })).toBe('IDEMPOTENCY_KEY_IN_USE');
    await claim.complete(bytes('voted'));
    expect(await process.begin({ onDuplicate: 'reject' })).toMatchObject({
      code: 'IDEMPOTENCY_DUPLICATE',
      retryAfterMs: undefined,
    });
  });
});

describe('over a store that answers at once', () => {
  test('begins and settles without a promise', () => {
    const { process } = newWorld();
    const claim = claimAtOnce(process);
    expect(claim.saveStep('charge', bytes('charged'))).toBe(true);
    expect(isPending(process.begin())).toBe(false);
    expect(claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
    expect(process.begin()).toMatchObject({ outcome: 'replay' });
    expect(claimAtOnce(process, { id: 'released' }).release()).toBeUndefined();
    expect(claimAtOnce(process, { id: 'held' }).hold('why')).toEqual({ outcome: 'stored' });
  });
});
