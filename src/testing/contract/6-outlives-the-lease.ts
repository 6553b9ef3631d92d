import assert from 'node:assert/strict';
import type { ClaimRef } from '../../engine/store.js';
import { casesOf, type StoreHarness } from './contract-case.js';
import {
  assertSteps,
  bytes,
  claimOf,
  completed,
  held,
  lapsed,
  LONG_MS,
  mustFind,
  newId,
  purge,
  win,
} from './support.js';

/** In microseconds, the unit of tokens that stores make from their clock. */
const HOUR_US = 3_600_000_000;

async function saveSteps(
  { store }: StoreHarness,
  claim: ClaimRef,
  steps: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(steps)) {
    assert.equal(await store.saveStep({ ...claim, name, value: bytes(value) }), true);
  }
}

export const outlivesTheLease = casesOf(6, {
  'counts attempts over takeover and release': async (harness) => {
    const { store, other } = harness;
    const old = await lapsed(harness);
    const second = await win(other, { id: old.id });
    await other.release(second.request);
    const third = await win(store, { id: old.id });
    assert.deepEqual([second.result.attempt, third.result.attempt], [2, 3]);
    assert.equal((await mustFind(other, old.id)).attempt, 3);
  },

  'does not count an attempt that is released as one that did not fail': async (harness) => {
    const { store, other } = harness;
    const first = await win(store);
    const { id } = first.request;
    await saveSteps(harness, first.request, { charge: 'c-1' });
    assert.equal(await other.release({ ...first.request, isUncounted: true }), true);
    // A repetition, whose first answer was lost, counts nothing either.
    assert.equal(await store.release({ ...first.request, isUncounted: true }), false);
    const { state, attempt } = await mustFind(other, id);
    assert.deepEqual([state, attempt], ['released', 0]);
    const again = await win(other, { id });
    assert.equal(again.result.attempt, 1);
    assertSteps(again.result.steps, { charge: 'c-1' });
    await store.release({ ...again.request, isUncounted: false });
    for (const isUncounted of [true, true, undefined]) {
      const second = await win(store, { id });
      assert.equal(second.result.attempt, 2);
      await store.release({ ...second.request, isUncounted });
    }
    assert.equal((await win(other, { id })).result.attempt, 3);
  },

  'begins to count anew when what was held is released': async (harness) => {
    const { store, other } = harness;
    const first = await win(store);
    const { id } = first.request;
    await saveSteps(harness, first.request, { charge: 'c-1' });
    await store.release(first.request);
    const { request } = await win(other, { id });
    await store.hold({ ...request, reason: 'reason' });
    const anew = { ...request, from: 'held', isUncounted: true } as const;
    assert.equal(await other.release(anew), true);
    const next = await win(store, { id });
    assert.equal(next.result.attempt, 1);
    assert.ok(next.result.fencingToken > first.result.fencingToken, 'a token was given twice');
    assertSteps(next.result.steps, { charge: 'c-1' });
  },

  'counts an attempt whose owner died, also when the next one is released uncounted': async (
    harness,
  ) => {
    const { store, other } = harness;
    const { id } = await lapsed(harness);
    const takeover = await win(other, { id });
    await other.release({ ...takeover.request, isUncounted: true });
    assert.equal((await win(store, { id })).result.attempt, 2);
  },

  'calls a claim abandoned only when the one before ran out of its lease': async (harness) => {
    const { store, other } = harness;
    const old = await lapsed(harness);
    const takeover = await win(other, { id: old.id });
    assert.equal(takeover.result.abandoned, true);
    await other.release(takeover.request);
    const afterRelease = await win(store, { id: old.id });
    assert.equal(afterRelease.result.abandoned, false);
    const fresh = await win(store);
    assert.equal(fresh.result.abandoned, false);
  },

  'gives the next attempt the steps of one whose lease ran out': async (harness) => {
    const { store, other, tickMs } = harness;
    const { request } = await win(store, { leaseMs: 4 * tickMs });
    await saveSteps(harness, request, { reserve: 'r-1', charge: 'c-1' });
    await harness.elapse(5 * tickMs);
    assertSteps((await mustFind(other, request.id)).steps, { reserve: 'r-1', charge: 'c-1' });
    const { result } = await win(other, { id: request.id });
    assertSteps(result.steps, { reserve: 'r-1', charge: 'c-1' });
  },

  'gives the next attempt the steps of one that released': async (harness) => {
    const { store, other } = harness;
    const { request } = await win(store);
    await saveSteps(harness, request, { charge: 'c-1' });
    await store.release(request);
    assertSteps((await mustFind(other, request.id)).steps, { charge: 'c-1' });
    assertSteps((await win(other, { id: request.id })).result.steps, { charge: 'c-1' });
  },

  'collects the steps of all attempts': async (harness) => {
    const { store, other } = harness;
    const first = await win(store);
    await saveSteps(harness, first.request, { reserve: 'r-1' });
    await store.release(first.request);
    const second = await win(store, { id: first.request.id });
    await saveSteps(harness, second.request, { charge: 'c-1' });
    await store.release(second.request);
    const { result } = await win(other, { id: first.request.id });
    assertSteps(result.steps, { reserve: 'r-1', charge: 'c-1' });
  },

  'keeps steps when the lease is extended': async (harness) => {
    const { store, other } = harness;
    const { request } = await win(store);
    await saveSteps(harness, request, { charge: 'c-1' });
    await store.extend({ ...request, leaseMs: LONG_MS, ttlMs: LONG_MS });
    assertSteps((await mustFind(other, request.id)).steps, { charge: 'c-1' });
  },

  'keeps the steps of one record from another': async (harness) => {
    const { request } = await win(harness.store);
    await saveSteps(harness, request, { charge: 'c-1' });
    assertSteps((await win(harness.store)).result.steps, {});
  },

  'hands out steps that what is saved later does not change': async (harness) => {
    const { store } = harness;
    const first = await win(store);
    await saveSteps(harness, first.request, { reserve: 'r-1' });
    await store.release(first.request);
    const { request, result } = await win(store, { id: first.request.id });
    const view = await mustFind(store, request.id);
    await saveSteps(harness, request, { charge: 'c-1' });
    assertSteps(result.steps, { reserve: 'r-1' });
    assertSteps(view.steps, { reserve: 'r-1' });
  },

  'shows a released record with its attempt and fingerprint': async ({ store, other }) => {
    const { request } = await win(store);
    await store.release(request);
    const { state, attempt, fingerprint } = await mustFind(other, request.id);
    assert.deepEqual([state, attempt, fingerprint], ['released', 1, request.fingerprint]);
  },

  'lets a released record without steps begin again with other content': async ({
    store,
    other,
  }) => {
    const { request } = await win(store);
    await store.release(request);
    const { result } = await win(other, { id: request.id, fingerprint: 'corrected' });
    assert.deepEqual([result.attempt, result.abandoned], [1, false]);
    assert.equal((await mustFind(store, request.id)).fingerprint, 'corrected');
    const original = await store.acquire(claimOf({ id: request.id }));
    assert.equal(original.outcome, 'mismatch');
  },

  'keeps a released record with steps to its content': async (harness) => {
    const { store, other } = harness;
    const { request } = await win(store);
    await saveSteps(harness, request, { charge: 'c-1' });
    await store.release(request);
    const corrected = await other.acquire(claimOf({ id: request.id, fingerprint: 'corrected' }));
    assert.equal(corrected.outcome, 'mismatch');
    assert.equal((await win(other, { id: request.id })).result.attempt, 2);
  },

  'binds a record without fingerprint to the first one that claims it': async ({
    store,
    other,
  }) => {
    const { request } = await win(store, { fingerprint: '' });
    await store.release(request);
    const { result } = await win(store, { id: request.id, fingerprint: 'one' });
    assert.equal(result.attempt, 2);
    const two = await other.acquire(claimOf({ id: request.id, fingerprint: 'two' }));
    assert.equal(two.outcome, 'mismatch');
  },

  'raises the fencing token with every takeover and release': async (harness) => {
    const { store, other } = harness;
    const old = await lapsed(harness);
    const tokens = [(await mustFind(store, old.id)).fencingToken];
    for (let round = 0; round < 5; round += 1) {
      const { request, result } = await win(round % 2 === 0 ? other : store, { id: old.id });
      tokens.push(result.fencingToken);
      assert.equal((await mustFind(store, old.id)).fencingToken, result.fencingToken);
      await store.release(request);
    }
    assertGrowing(tokens);
  },

  'raises the fencing token after the record was forgotten': async (harness) => {
    const { store, other } = harness;
    const id = newId();
    const tokens: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const { request, result } = await win(round % 2 === 0 ? store : other, { id });
      tokens.push(result.fencingToken);
      await store.complete({ ...request, reply: bytes('reply') });
      await other.forget(id);
    }
    assertGrowing(tokens);
  },

  'raises the fencing token after the record expired and was purged': async (harness) => {
    const { store, other, tickMs } = harness;
    const id = newId();
    const first = await win(store, { id });
    await store.complete({ ...first.request, reply: bytes('reply'), ttlMs: tickMs });
    await harness.elapse(2 * tickMs);
    while ((await purge(store, 1000)) > 0);
    const second = await win(other, { id });
    assertGrowing([first.result.fencingToken, second.result.fencingToken]);
  },

  'hands out a fencing token above the one that the caller knows, whatever the clock says': async ({
    store,
    other,
  }) => {
    const { result: earlier } = await win(store);
    const aboveToken = earlier.fencingToken + HOUR_US;
    const { request, result } = await win(store, { aboveToken });
    assertGrowing([aboveToken, result.fencingToken]);
    await store.release(request);
    const takenOver = await win(other, { id: request.id, aboveToken: aboveToken + HOUR_US });
    assertGrowing([aboveToken + HOUR_US, takenOver.result.fencingToken]);
  },

  'raises the fencing token of a record that was made when the clock was ahead': async (
    harness,
  ) => {
    const { store, other, tickMs } = harness;
    const { result: earlier } = await win(store);
    const aboveToken = earlier.fencingToken + HOUR_US;
    const lapsing = await win(store, { aboveToken, leaseMs: tickMs });
    const released = await win(store, { aboveToken });
    await store.release(released.request);
    await harness.elapse(2 * tickMs);
    for (const { request, result } of [lapsing, released]) {
      const next = await win(other, { id: request.id });
      assertGrowing([result.fencingToken, next.result.fencingToken]);
    }
  },

  'raises the fencing token after a record that was made when the clock was ahead was forgotten':
    async ({ store, other }) => {
      const { result: earlier } = await win(store);
      const aboveToken = earlier.fencingToken + HOUR_US;
      const { request, result } = await win(store, { aboveToken });
      await store.complete({ ...request, reply: bytes('reply') });
      assert.equal(await other.forget(request.id), true);
      assert.equal(await store.find(request.id), undefined);
      assert.equal(await store.forget(request.id), false);
      const next = await win(other, { id: request.id, fingerprint: 'other content' });
      assert.deepEqual([next.result.attempt, next.result.abandoned], [1, false]);
      assertGrowing([result.fencingToken, next.result.fencingToken]);
      // An issued record in its place does not reset the token either.
      await store.complete({ ...next.request, reply: bytes('reply') });
      await store.forget(request.id);
      assert.equal(await other.issue({ id: request.id, ttlMs: LONG_MS }), true);
      const issued = await win(store, { id: request.id, mustBeIssued: true });
      assertGrowing([next.result.fencingToken, issued.result.fencingToken]);
    },

  'keeps the fencing token of the last claim when it is settled': async ({ store, other }) => {
    const { request, result } = await win(store);
    await store.complete({ ...request, reply: bytes('reply') });
    assert.equal((await mustFind(other, request.id)).fencingToken, result.fencingToken);
  },

  'keeps attempt and fingerprint of what was settled': async ({ store, other }) => {
    const done = await completed(store);
    const stopped = await held(store);
    for (const { id, fingerprint } of [done, stopped]) {
      const view = await mustFind(other, id);
      assert.deepEqual([view.attempt, view.fingerprint], [1, fingerprint]);
    }
  },
});

function assertGrowing(tokens: readonly number[]): void {
  tokens.forEach((token, index) => {
    assert.ok(Number.isSafeInteger(token), `${token} is not a safe integer`);
    const before = tokens[index - 1];
    assert.ok(
      before === undefined || token > before,
      `expected growing tokens, got ${tokens.join(', ')}`,
    );
  });
}
