import assert from 'node:assert/strict';
import { casesOf } from './contract-case.js';
import {
  allAtOnce,
  assertReplays,
  assertUnchanged,
  bytes,
  claimAtOnce,
  claimOf,
  completed,
  lapsed,
  LONG_MS,
  mustFind,
  newId,
  tally,
  theAcquired,
  win,
} from './support.js';

const CROWD = 64;

export const oneWinner = casesOf(1, {
  'gives a free key to one of 64 at once': async (harness) => {
    const results = await claimAtOnce(harness, CROWD, { id: newId() });
    assert.equal(theAcquired(results).attempt, 1);
    assert.deepEqual(tally(results), { acquired: 1, 'in-flight': CROWD - 1 });
  },

  'gives a lapsed lease to one of 64 at once': async (harness) => {
    const { id } = await lapsed(harness);
    const results = await claimAtOnce(harness, CROWD, { id });
    const winner = theAcquired(results);
    assert.deepEqual([winner.attempt, winner.abandoned], [2, true]);
    assert.deepEqual(tally(results), { acquired: 1, 'in-flight': CROWD - 1 });
  },

  'gives a key whose reply has expired, and was not purged, to one of 64 at once': async (
    harness,
  ) => {
    const { store, tickMs } = harness;
    const { request } = await win(store);
    await store.complete({ ...request, reply: bytes('old'), ttlMs: tickMs });
    await harness.elapse(2 * tickMs);
    const results = await claimAtOnce(harness, CROWD, { id: request.id });
    const winner = theAcquired(results);
    assert.deepEqual([winner.attempt, winner.abandoned], [1, false]);
    assert.deepEqual(tally(results), { acquired: 1, 'in-flight': CROWD - 1 });
  },

  'gives a claim that was forgotten, and not purged, to one of 64 at once': async (harness) => {
    const { store, tickMs } = harness;
    const { request } = await win(store, { leaseMs: tickMs, ttlMs: tickMs });
    await harness.elapse(3 * tickMs);
    const results = await claimAtOnce(harness, CROWD, { id: request.id });
    const winner = theAcquired(results);
    assert.deepEqual([winner.attempt, winner.abandoned], [1, false]);
  },

  'gives a released key to one of 64 at once': async (harness) => {
    const { request } = await win(harness.store);
    await harness.store.release(request);
    const results = await claimAtOnce(harness, CROWD, { id: request.id });
    assert.equal(theAcquired(results).attempt, 2);
    assert.deepEqual(tally(results), { acquired: 1, 'in-flight': CROWD - 1 });
  },

  'gives an issued record to one of 64 at once': async (harness) => {
    const id = newId();
    await harness.store.issue({ id, ttlMs: LONG_MS });
    const results = await claimAtOnce(harness, CROWD, { id, mustBeIssued: true });
    assert.equal(theAcquired(results).attempt, 1);
    assert.deepEqual(tally(results), { acquired: 1, 'in-flight': CROWD - 1 });
  },

  'lets one of 64 at once issue a record': async (harness) => {
    const id = newId();
    const issued = await allAtOnce(harness, CROWD, (store) => store.issue({ id, ttlMs: LONG_MS }));
    assert.equal(issued.filter(Boolean).length, 1);
  },

  'gives a key to nobody while its owner completes': async (harness) => {
    const { request } = await win(harness.store);
    const [isCompleted, results] = await Promise.all([
      harness.store.complete({ ...request, reply: bytes('reply') }),
      claimAtOnce(harness, CROWD, { id: request.id }),
    ]);
    assert.equal(isCompleted, true);
    const { completed: replays = 0, 'in-flight': refusals = 0 } = tally(results);
    assert.equal(replays + refusals, CROWD, JSON.stringify(tally(results)));
    await assertReplays(harness.other, request, bytes('reply'));
  },

  'gives a key to one at most while its owner releases': async (harness) => {
    const { request } = await win(harness.store);
    const [isReleased, results] = await Promise.all([
      harness.store.release(request),
      claimAtOnce(harness, CROWD, { id: request.id }),
    ]);
    assert.equal(isReleased, true);
    const { acquired = 0, 'in-flight': refusals = 0 } = tally(results);
    assert.ok(acquired <= 1, `${acquired} winners`);
    assert.equal(acquired + refusals, CROWD);
  },

  'takes over a lapsed lease while its old owner tries to complete, and only that': async (
    harness,
  ) => {
    const old = await lapsed(harness);
    const [isCompleted, results] = await Promise.all([
      harness.other.complete({ ...old, reply: bytes('stale') }),
      claimAtOnce(harness, CROWD, { id: old.id }),
    ]);
    assert.equal(isCompleted, false);
    theAcquired(results);
    assert.equal((await mustFind(harness.store, old.id)).state, 'in-flight');
  },

  'shows one client what the other wrote': async ({ store, other }) => {
    const { request } = await win(store);
    assert.equal((await other.acquire(claimOf({ id: request.id }))).outcome, 'in-flight');
    assert.equal(await other.complete({ ...request, reply: bytes('reply') }), true);
    await assertReplays(store, request, bytes('reply'));
  },

  'calls a record unknown that has to be issued and was not': async ({ store, other }) => {
    const request = claimOf({ mustBeIssued: true });
    assert.deepEqual(await store.acquire(request), { outcome: 'unknown' });
    assert.equal(await other.find(request.id), undefined);
  },

  'shows an issued record as such': async ({ store, other }) => {
    const id = newId();
    assert.equal(await store.issue({ id, ttlMs: LONG_MS }), true);
    const view = await mustFind(other, id);
    assert.deepEqual(
      [view.id, view.state, view.owner, view.attempt, view.fingerprint, view.steps.size],
      [id, 'issued', '', 0, '', 0],
    );
    assert.deepEqual(
      [view.leaseRemainingMs, view.reply, view.reason],
      [undefined, undefined, undefined],
    );
  },

  'replays an issued record once it is completed': async ({ store, other }) => {
    const id = newId();
    await store.issue({ id, ttlMs: LONG_MS });
    const { request } = await win(store, { id, mustBeIssued: true });
    await store.complete({ ...request, reply: bytes('reply') });
    await assertReplays(other, request, bytes('reply'));
  },

  'gives an issued record again after it was released': async ({ store, other }) => {
    const id = newId();
    await store.issue({ id, ttlMs: LONG_MS });
    const { request } = await win(store, { id, mustBeIssued: true });
    await store.release(request);
    assert.equal((await win(other, { id, mustBeIssued: true })).result.attempt, 2);
  },

  'binds an issued record to the fingerprint of its first claim': async ({ store, other }) => {
    const id = newId();
    await store.issue({ id, ttlMs: LONG_MS });
    await win(store, { id, fingerprint: 'one' });
    assert.equal((await other.acquire(claimOf({ id, fingerprint: 'two' }))).outcome, 'mismatch');
    assert.equal((await mustFind(other, id)).fingerprint, 'one');
  },

  'does not know an issued record whose ttl has passed': async ({ store, tickMs, elapse }) => {
    const id = newId();
    await store.issue({ id, ttlMs: tickMs });
    await elapse(2 * tickMs);
    assert.deepEqual(await store.acquire(claimOf({ id, mustBeIssued: true })), {
      outcome: 'unknown',
    });
    assert.equal(await store.issue({ id, ttlMs: LONG_MS }), true);
  },

  'does not issue what is there already': async (harness) => {
    const { request: inFlight } = await win(harness.store);
    const done = await completed(harness.store);
    for (const { id } of [inFlight, done]) {
      await assertUnchanged(harness, id, async () => {
        assert.equal(await harness.other.issue({ id, ttlMs: 3 * LONG_MS }), false);
      });
    }
  },
});
