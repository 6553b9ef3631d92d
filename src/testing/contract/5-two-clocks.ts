import assert from 'node:assert/strict';
import { casesOf } from './contract-case.js';
import {
  assertRemaining,
  assertReplays,
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

const DAY_MS = 24 * 60 * 60_000;
/** Past 31 bits of milliseconds, which are 24.9 days. */
const LEASE_MS = 30 * DAY_MS;
/** Past 32 bits of milliseconds, which are 49.7 days. */
const TTL_MS = 60 * DAY_MS;

export const twoClocks = casesOf(5, {
  'frees a claim when the lease ends, however long the ttl is': async (harness) => {
    const old = await lapsed(harness);
    const { result } = await win(harness.other, { id: old.id });
    assert.deepEqual([result.attempt, result.abandoned], [2, true]);
  },

  'shows a lapsed claim until its ttl ends': async (harness) => {
    const old = await lapsed(harness);
    const view = await mustFind(harness.other, old.id);
    assert.equal(view.state, 'in-flight');
    assert.ok(
      view.leaseRemainingMs !== undefined && view.leaseRemainingMs <= 0,
      'expected no lease',
    );
    assertRemaining(view.ttlRemainingMs, LONG_MS);
  },

  'starts the lease anew when it is extended': async ({ store, other, tickMs, elapse }) => {
    const { request } = await win(store, { leaseMs: 4 * tickMs, ttlMs: tickMs });
    await elapse(2 * tickMs);
    assert.equal(await store.extend({ ...request, leaseMs: 6 * tickMs, ttlMs: LONG_MS }), true);
    await elapse(4 * tickMs);
    assert.equal((await other.acquire(claimOf({ id: request.id }))).outcome, 'in-flight');
    await elapse(3 * tickMs);
    assert.equal((await win(other, { id: request.id })).result.attempt, 2);
  },

  'counts an extended lease from now, not from its old end': async ({ store, other }) => {
    const { request } = await win(store, { leaseMs: 3 * LONG_MS });
    await store.extend({ ...request, leaseMs: LONG_MS, ttlMs: LONG_MS });
    const view = await mustFind(other, request.id);
    assertRemaining(view.leaseRemainingMs, LONG_MS);
    assertRemaining(view.ttlRemainingMs, 2 * LONG_MS);
  },

  'counts the ttl of a claim from the end of its lease': async ({
    store,
    other,
    tickMs,
    elapse,
  }) => {
    const { request } = await win(store, { leaseMs: 3 * tickMs, ttlMs: 3 * tickMs });
    await elapse(4 * tickMs);
    assert.equal((await win(other, { id: request.id })).result.attempt, 2);
  },

  'tells a duplicate how long the lease runs': async ({ store, other }) => {
    const { request } = await win(store);
    const result = await other.acquire(claimOf({ id: request.id, leaseMs: 1 }));
    if (result.outcome !== 'in-flight') assert.fail(result.outcome);
    assertRemaining(result.leaseRemainingMs, LONG_MS);
  },

  'forgets a claim, its attempt and its steps when its ttl has passed': async (harness) => {
    const { store, other, tickMs } = harness;
    const { request } = await win(store, { leaseMs: 4 * tickMs, ttlMs: tickMs });
    await store.saveStep({ ...request, name: 'step', value: bytes('value') });
    await harness.elapse(6 * tickMs);
    assert.equal(await other.find(request.id), undefined);
    const { result } = await win(other, { id: request.id, fingerprint: 'other content' });
    assert.deepEqual([result.attempt, result.abandoned, result.steps.size], [1, false, 0]);
  },

  'forgets a reply when its ttl has passed, purged or not': async ({
    store,
    other,
    tickMs,
    elapse,
  }) => {
    const { request } = await win(store);
    await store.complete({ ...request, reply: bytes('reply'), ttlMs: tickMs });
    await elapse(2 * tickMs);
    assert.equal(await other.find(request.id), undefined);
    const { result } = await win(other, { id: request.id, fingerprint: 'other content' });
    assert.deepEqual([result.attempt, result.abandoned, result.steps.size], [1, false, 0]);
  },

  'forgets a released claim and its steps when its ttl has passed': async ({
    store,
    other,
    tickMs,
    elapse,
  }) => {
    const { request } = await win(store);
    await store.saveStep({ ...request, name: 'step', value: bytes('value') });
    await store.release({ ...request, ttlMs: tickMs });
    await elapse(2 * tickMs);
    assert.equal(await other.find(request.id), undefined);
    const { result } = await win(other, { id: request.id, fingerprint: 'other content' });
    assert.deepEqual([result.attempt, result.steps.size], [1, 0]);
  },

  'keeps nothing for a ttl of zero': async ({ store, other, tickMs, elapse }) => {
    const { request: done } = await win(store);
    assert.equal(await store.complete({ ...done, reply: bytes('reply'), ttlMs: 0 }), true);
    const { request: released } = await win(store);
    assert.equal(await store.release({ ...released, ttlMs: 0 }), true);
    await elapse(tickMs);
    for (const { id } of [done, released]) {
      assert.equal(await other.find(id), undefined);
      assert.equal((await win(other, { id })).result.attempt, 1);
    }
  },

  'handles a lease of 30 days': async ({ store, other, tickMs, elapse }) => {
    const { request } = await win(store, { leaseMs: LEASE_MS, ttlMs: TTL_MS });
    await elapse(2 * tickMs);
    assert.equal((await other.acquire(claimOf({ id: request.id }))).outcome, 'in-flight');
    const view = await mustFind(other, request.id);
    assertRemaining(view.leaseRemainingMs, LEASE_MS);
    assertRemaining(view.ttlRemainingMs, LEASE_MS + TTL_MS);
    assert.equal(await store.extend({ ...request, leaseMs: TTL_MS, ttlMs: LEASE_MS }), true);
    const extended = await mustFind(other, request.id);
    assertRemaining(extended.leaseRemainingMs, TTL_MS);
    assertRemaining(extended.ttlRemainingMs, LEASE_MS + TTL_MS);
  },

  'keeps a reply, a release and an issued record for 60 days': async ({
    store,
    other,
    tickMs,
    elapse,
  }) => {
    const { request: done } = await win(store);
    await store.complete({ ...done, reply: bytes('reply'), ttlMs: TTL_MS });
    const { request: released } = await win(store);
    await store.release({ ...released, ttlMs: TTL_MS });
    const issued = newId();
    await store.issue({ id: issued, ttlMs: TTL_MS });
    await elapse(2 * tickMs);
    for (const id of [done.id, released.id, issued]) {
      assertRemaining((await mustFind(other, id)).ttlRemainingMs, TTL_MS);
    }
    await assertReplays(other, done, bytes('reply'));
  },

  'purges at most as many as it is told, and says how many': async (harness) => {
    const { store, other, tickMs } = harness;
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { request } = await win(store);
        await store.complete({ ...request, reply: bytes('reply'), ttlMs: tickMs });
        return request.id;
      }),
    );
    await harness.elapse(2 * tickMs);
    // None at all if the server itself drops expired records.
    for (let purged = 2; purged > 0;) {
      purged = await purge(other, 2);
      assert.ok(purged >= 0 && purged <= 2, `purged ${purged} of at most 2`);
    }
    for (const id of ids) assert.equal(await store.find(id), undefined);
  },

  'purges nothing whose ttl has not passed': async (harness) => {
    const { store, other, tickMs } = harness;
    const old = await lapsed(harness);
    const { request: inFlight } = await win(store);
    const done = await completed(store);
    const { request: released } = await win(store);
    await store.release(released);
    const stopped = await held(store);
    const issued = newId();
    await store.issue({ id: issued, ttlMs: LONG_MS });
    await harness.elapse(2 * tickMs);
    while ((await purge(other, 1000)) > 0);
    const ids = [old.id, inFlight.id, done.id, released.id, stopped.id, issued];
    const states = await Promise.all(ids.map(async (id) => (await mustFind(store, id)).state));
    assert.deepEqual(states, ['in-flight', 'in-flight', 'completed', 'released', 'held', 'issued']);
  },

  'purges no record that was claimed anew after it expired': async (harness) => {
    const { store, other, tickMs } = harness;
    const { request } = await win(store);
    await store.complete({ ...request, reply: bytes('old'), ttlMs: tickMs });
    await harness.elapse(2 * tickMs);
    const { request: anew } = await win(store, { id: request.id });
    await Promise.all([purge(other, 1000), purge(store, 1000)]);
    assert.equal((await mustFind(other, request.id)).owner, anew.owner);
    assert.equal(await store.complete({ ...anew, reply: bytes('new') }), true);
    await purge(other, 1000);
    await assertReplays(other, anew, bytes('new'));
  },
});
