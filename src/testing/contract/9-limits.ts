import assert from 'node:assert/strict';
import type { AcquireRequest, AcquireResult, IdempotencyStore } from '../../engine/store.js';
import { casesOf, type StoreHarness } from './contract-case.js';
import {
  allAtOnce,
  assertAcquired,
  assertRemaining,
  assertReplays,
  bytes,
  claimOf,
  LONG_MS,
  mustFind,
  newId,
  win,
} from './support.js';

type Limits = NonNullable<AcquireRequest['limits']>;

/** A caller with limits, and the requests it makes. */
function callerWith(limits: Partial<Limits>): (given?: Partial<AcquireRequest>) => AcquireRequest {
  const bucket = newId();
  return (given) => claimOf({ bucket, limits: { windowMs: LONG_MS, ...limits }, ...given });
}

/**
 * Expects this limit to refuse the claim, and the claim to leave nothing behind. A store may need a
 * moment to count the leases that are alive: what is claimed until then is released.
 */
async function assertLimited(
  harness: StoreHarness,
  request: AcquireRequest,
  limit: 'inFlight' | 'newKeys',
): Promise<number> {
  const { store, other, elapse, tickMs } = harness;
  const before = await other.find(request.id);
  let result = await store.acquire(request);
  for (let round = 0; round < 20; round += 1) {
    if (result.outcome !== 'acquired' || limit !== 'inFlight') break;
    await store.release(request);
    await elapse(tickMs / 10);
    result = await store.acquire(request);
  }
  if (result.outcome !== 'limited') assert.fail(`expected 'limited', got '${result.outcome}'`);
  assert.equal(result.limit, limit);
  assert.deepEqual((await other.find(request.id))?.state, before?.state);
  return result.retryAfterMs;
}

/** Repeats the claim until it gets this outcome, because a store may need a moment to count. */
async function soon(
  { elapse, tickMs }: StoreHarness,
  ask: () => Promise<AcquireResult>,
): Promise<AcquireResult> {
  for (let round = 0; round < 20; round += 1) {
    const result = await ask();
    if (result.outcome !== 'limited') return result;
    await elapse(tickMs / 10);
  }
  return ask();
}

/** Cases for stores that have `prepareLimits`. */
function limitCases(
  cases: Readonly<Record<string, (harness: StoreHarness) => Promise<void>>>,
): ReturnType<typeof casesOf> {
  const unlessWithout = Object.entries(cases).map(([name, run]) => {
    const keeps = async (harness: StoreHarness): Promise<void> =>
      harness.store.prepareLimits === undefined ? undefined : run(harness);
    return [`limits: ${name}`, keeps] as const;
  });
  return casesOf(9, Object.fromEntries(unlessWithout));
}

/** Ways to end a claim. */
const ENDS: Readonly<
  Record<string, (store: IdempotencyStore, claim: AcquireRequest) => Promise<unknown>>
> = {
  completed: async (store, claim) => store.complete({ ...claim, reply: bytes('reply') }),
  released: async (store, claim) => store.release(claim),
  held: async (store, claim) => store.hold({ ...claim, reason: 'reason' }),
};

export const limits = limitCases({
  'refuses a new record while as many leases are alive as may be': async (harness) => {
    const claim = callerWith({ inFlight: 2 });
    await win(harness.store, claim());
    await win(harness.other, claim());
    await harness.elapse(harness.tickMs / 10);
    await assertLimited(harness, claim(), 'inFlight');
  },

  ...Object.fromEntries(
    Object.entries(ENDS).map(([end, settle]) => [
      `has room again when a claim is ${end}`,
      async (harness: StoreHarness): Promise<void> => {
        const claim = callerWith({ inFlight: 1 });
        const { request } = await win(harness.store, claim());
        await harness.elapse(harness.tickMs / 10);
        await assertLimited(harness, claim(), 'inFlight');
        assert.equal(await settle(harness.other, request), true);
        assertAcquired(await soon(harness, async () => harness.store.acquire(claim())));
      },
    ]),
  ),

  'has room again when the lease of an owner that died runs out': async (harness) => {
    const claim = callerWith({ inFlight: 1 });
    await win(harness.store, claim({ leaseMs: harness.tickMs }));
    await harness.elapse(2 * harness.tickMs);
    await win(harness.other, claim());
  },

  'counts a lease for as long as it is renewed': async (harness) => {
    const { store, other, tickMs, elapse } = harness;
    const claim = callerWith({ inFlight: 1 });
    const { request } = await win(store, claim({ leaseMs: 4 * tickMs }));
    assert.equal(await other.extend({ ...request, leaseMs: LONG_MS }), true);
    await elapse(5 * tickMs);
    await assertLimited(harness, claim(), 'inFlight');
  },

  'refuses nothing that was claimed before': async (harness) => {
    const { store, other, tickMs, elapse } = harness;
    const claim = callerWith({ inFlight: 1, newKeys: 6 });
    const done = await win(store, claim());
    await store.complete({ ...done.request, reply: bytes('reply') });
    const released = await soonWin(harness, claim());
    await store.release(released);
    const held = await soonWin(harness, claim());
    await store.hold({ ...held, reason: 'reason' });
    const lapsed = await soonWin(harness, claim({ leaseMs: tickMs }));
    await elapse(2 * tickMs);
    const running = await soonWin(harness, claim());
    await elapse(tickMs / 10);
    await assertLimited(harness, claim(), 'inFlight');
    const again = async (request: AcquireRequest, fingerprint = request.fingerprint) =>
      (await other.acquire(claim({ id: request.id, fingerprint }))).outcome;
    await assertReplays(other, done.request, bytes('reply'));
    assert.equal(await again(done.request, 'other'), 'mismatch');
    assert.equal(await again(running), 'in-flight');
    assert.equal(await again(running, 'other'), 'mismatch');
    assert.equal(await again(held), 'held');
    assert.equal(await again(lapsed), 'acquired');
    assert.equal(await again(released, 'other'), 'acquired');
  },

  'counts what was taken over and what no limit applies to': async (harness) => {
    const { store, other, tickMs, elapse } = harness;
    const claim = callerWith({ inFlight: 2 });
    const { request } = await win(store, claim({ leaseMs: tickMs }));
    await elapse(2 * tickMs);
    await win(other, claim({ id: request.id }));
    await win(other, { ...claim(), limits: undefined });
    await elapse(tickMs / 10);
    await assertLimited(harness, claim(), 'inFlight');
  },

  'refuses more new keys than there may be within the window, whatever became of them': async (
    harness,
  ) => {
    const claim = callerWith({ newKeys: 3 });
    for (const settle of Object.values(ENDS)) {
      const { request } = await win(harness.store, claim());
      await settle(harness.other, request);
    }
    await harness.elapse(harness.tickMs / 2);
    const retryAfterMs = await assertLimited(harness, claim(), 'newKeys');
    assert.ok(retryAfterMs > 0 && retryAfterMs <= LONG_MS, `retry after ${retryAfterMs} ms`);
  },

  'tells when the window has room, and has it then': async (harness) => {
    const { store, tickMs, elapse } = harness;
    const claim = callerWith({ newKeys: 2, windowMs: 6 * tickMs });
    await win(store, claim());
    await elapse(2 * tickMs);
    await win(store, claim());
    await elapse(tickMs / 2);
    const retryAfterMs = await assertLimited(harness, claim(), 'newKeys');
    assert.ok(retryAfterMs <= 4 * tickMs + 1, `retry after ${retryAfterMs} ms`);
    await elapse(retryAfterMs + 1);
    await win(store, claim());
  },

  'does not count a retry as a new key': async (harness) => {
    const claim = callerWith({ newKeys: 2 });
    let { request } = await win(harness.store, claim());
    for (let retry = 0; retry < 3; retry += 1) {
      assert.equal(await harness.store.release(request), true);
      const again = await win(harness.other, claim({ id: request.id }));
      assert.equal(again.result.attempt, retry + 2);
      request = again.request;
    }
    await win(harness.store, claim());
    await harness.elapse(harness.tickMs / 2);
    await assertLimited(harness, claim(), 'newKeys');
  },

  'counts each caller alone, and nobody without a limit': async (harness) => {
    const one = callerWith({ inFlight: 1, newKeys: 1 });
    await win(harness.store, one());
    await harness.elapse(harness.tickMs / 10);
    await assertLimited(harness, one(), 'inFlight');
    const two = callerWith({ inFlight: 1, newKeys: 1 });
    await win(harness.store, two());
    await win(harness.store, claimOf());
    const free = callerWith({});
    for (let count = 0; count < 3; count += 1) await win(harness.store, free());
  },

  'counts an issued record as new, and leaves one issued that it refuses': async (harness) => {
    const { store, other } = harness;
    const claim = callerWith({ inFlight: 1 });
    const [first, second] = [newId(), newId()];
    for (const id of [first, second]) assert.equal(await other.issue({ id, ttlMs: LONG_MS }), true);
    const { request } = await win(store, claim({ id: first, mustBeIssued: true }));
    await assertLimited(harness, claim(), 'inFlight');
    await assertLimited(harness, claim({ id: second, mustBeIssued: true }), 'inFlight');
    // The fencing token may have grown if the record was claimed for a moment.
    const left = await mustFind(other, second);
    assert.deepEqual([left.state, left.owner, left.attempt], ['issued', '', 0]);
    assertRemaining(left.ttlRemainingMs, LONG_MS);
    const unknown = await store.acquire(claim({ mustBeIssued: true }));
    assert.equal(unknown.outcome, 'unknown');
    await store.release(request);
    const asked = claim({ id: second, mustBeIssued: true });
    const result = assertAcquired(await soon(harness, async () => store.acquire(asked)));
    assert.equal(result.attempt, 1);
  },

  'counts a record that has expired as new': async (harness) => {
    const { store, tickMs, elapse } = harness;
    const claim = callerWith({ inFlight: 1 });
    const { request } = await win(store, claim());
    await store.complete({ ...request, reply: bytes('reply'), ttlMs: tickMs });
    await elapse(2 * tickMs);
    const running = await soonWin(harness, claim());
    await elapse(tickMs / 10);
    await assertLimited(harness, claim({ id: request.id }), 'inFlight');
    await store.release(running);
    assertAcquired(await soon(harness, async () => store.acquire(claim({ id: request.id }))));
  },

  'refuses nobody wrongly when many claim at once, and leaves no trace of the others': async (
    harness,
  ) => {
    const claim = callerWith({ inFlight: 5, newKeys: 50 });
    const requests = Array.from({ length: 24 }, () => claim());
    const results = await allAtOnce(harness, requests.length, (store, index) =>
      store.acquire(requests[index]!),
    );
    const won = requests.filter((_, index) => results[index]!.outcome === 'acquired');
    assert.ok(won.length >= 5, `only ${won.length} of 5 were claimed`);
    for (const [index, { id }] of requests.entries())
      if (results[index]!.outcome !== 'acquired') {
        assert.equal(results[index]!.outcome, 'limited');
        assert.equal(await harness.other.find(id), undefined);
      }
    await harness.elapse(harness.tickMs / 10);
    await assertLimited(harness, claim(), 'inFlight');
    for (const request of won) assert.equal(await harness.store.release(request), true);
    await soonWin(harness, claim());
  },
});

/** Like `win`, but allows for a claim that has just ended and is still counted. */
async function soonWin(harness: StoreHarness, request: AcquireRequest): Promise<AcquireRequest> {
  assertAcquired(await soon(harness, async () => harness.store.acquire(request)));
  return request;
}
