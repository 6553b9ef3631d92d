import assert from 'node:assert/strict';
import { casesOf } from './contract-case.js';
import {
  assertAcquired,
  assertReplays,
  assertSteps,
  assertUnchanged,
  bytes,
  claimAtOnce,
  claimOf,
  completed,
  held,
  lapsed,
  LONG_MS,
  mustFind,
  newId,
  newOwner,
  purge,
  tally,
  win,
} from './support.js';

export const settledStays = casesOf(3, {
  'keeps a completed record against its own owner': async (harness) => {
    const { store } = harness;
    const { id, owner } = await completed(store);
    await assertUnchanged(harness, id, async () => {
      assert.equal(await store.release({ id, owner, ttlMs: 3 * LONG_MS }), false);
      assert.equal(await store.hold({ id, owner, reason: 'late' }), false);
      assert.equal(await store.extend({ id, owner, leaseMs: 1, ttlMs: 1 }), false);
      assert.equal(await store.saveStep({ id, owner, name: 'late', value: bytes('') }), false);
      assert.equal(await store.release({ id, owner, ttlMs: 0, from: 'held' }), false);
      assert.equal((await store.acquire(claimOf({ id, owner }))).outcome, 'completed');
    });
  },

  'keeps a completed record against others': async (harness) => {
    const { other } = harness;
    const { id } = await completed(harness.store);
    const owner = newOwner();
    await assertUnchanged(harness, id, async () => {
      const reply = bytes('other');
      assert.equal(await other.complete({ id, owner, reply, ttlMs: LONG_MS }), false);
      assert.equal(await other.complete({ id, owner, reply, ttlMs: LONG_MS, from: 'held' }), false);
      assert.equal(await other.release({ id, owner, ttlMs: LONG_MS }), false);
      assert.equal(await other.hold({ id, owner, reason: 'other' }), false);
      assert.equal((await other.acquire(claimOf({ id, owner }))).outcome, 'completed');
    });
  },

  'keeps a completed record beyond the lease of its claim': async ({
    store,
    other,
    tickMs,
    elapse,
  }) => {
    const { request } = await win(store, { leaseMs: 4 * tickMs, ttlMs: tickMs });
    assert.equal(await store.complete({ ...request, reply: bytes('reply'), ttlMs: LONG_MS }), true);
    await elapse(7 * tickMs);
    await assertReplays(other, request, bytes('reply'));
  },

  'keeps the first reply and its ttl when the owner completes again': async (harness) => {
    const request = await completed(harness.store, bytes('first'));
    await assertUnchanged(harness, request.id, async () => {
      const again = { ...request, reply: bytes('second'), ttlMs: 3 * LONG_MS };
      assert.equal(await harness.other.complete(again), true);
    });
    await assertReplays(harness.store, request, bytes('first'));
  },

  'keeps the first reason when the owner holds again': async (harness) => {
    const { id, owner } = await held(harness.store, 'first');
    assert.equal(await harness.other.hold({ id, owner, reason: 'second' }), true);
    assert.equal((await mustFind(harness.store, id)).reason, 'first');
  },

  'tells every claim that the record is held, and why': async (harness) => {
    const { id, owner } = await held(harness.store, 'the bank did not answer');
    await assertUnchanged(harness, id, async () => {
      const results = await claimAtOnce(harness, 16, { id });
      assert.deepEqual(tally(results), { held: 16 });
      assert.deepEqual(await harness.store.acquire(claimOf({ id, owner })), {
        outcome: 'held',
        reason: 'the bank did not answer',
      });
    });
  },

  'keeps a held record beyond lease, ttl and purge': async (harness) => {
    const { store, tickMs } = harness;
    const { id } = await held(store, 'reason', { leaseMs: 4 * tickMs, ttlMs: tickMs });
    await harness.elapse(7 * tickMs);
    await purge(harness.other, 1000);
    const view = await mustFind(harness.other, id);
    assert.deepEqual([view.state, view.reason], ['held', 'reason']);
    assert.equal(view.ttlRemainingMs, undefined);
    assert.equal((await store.acquire(claimOf({ id }))).outcome, 'held');
  },

  'keeps a held record against its own owner until it is settled by name': async (harness) => {
    const { store } = harness;
    const { id, owner } = await held(store);
    await assertUnchanged(harness, id, async () => {
      const reply = bytes('late');
      assert.equal(await store.complete({ id, owner, reply, ttlMs: LONG_MS }), false);
      assert.equal(
        await store.complete({ id, owner, reply, ttlMs: LONG_MS, from: 'in-flight' }),
        false,
      );
      assert.equal(await store.release({ id, owner, ttlMs: LONG_MS }), false);
      assert.equal(await store.extend({ id, owner, leaseMs: 1, ttlMs: 1 }), false);
      assert.equal(await store.saveStep({ id, owner, name: 'late', value: reply }), false);
    });
  },

  'settles a held record for the owner that find names, and no other': async (harness) => {
    const { store } = harness;
    const { id } = await held(store);
    const owner = newOwner();
    const reply = bytes('settled');
    await assertUnchanged(harness, id, async () => {
      const wrong = { id, owner, ttlMs: LONG_MS, from: 'held' as const };
      assert.equal(await store.complete({ ...wrong, reply }), false);
      assert.equal(await store.release(wrong), false);
    });
    const found = await mustFind(harness.other, id);
    assert.equal(
      await store.complete({ id, owner: found.owner, reply, ttlMs: LONG_MS, from: 'held' }),
      true,
    );
  },

  'replays the reply that a held record was settled with, and keeps it': async (harness) => {
    const { store, other } = harness;
    const request = await held(store);
    const settle = { ...request, from: 'held' as const };
    assert.equal(await store.complete({ ...settle, reply: bytes('settled') }), true);
    assert.equal(await store.complete({ ...settle, reply: bytes('again') }), true);
    await assertReplays(other, request, bytes('settled'));
    const view = await mustFind(other, request.id);
    assert.deepEqual([view.state, view.reason], ['completed', undefined]);
    assert.ok(view.ttlRemainingMs !== undefined, 'expected a ttl again');
  },

  'gives a held record that was released to the next claim, with its steps': async (harness) => {
    const { store, other } = harness;
    const { request } = await win(store);
    await store.saveStep({ ...request, name: 'charge', value: bytes('paid') });
    await store.hold({ ...request, reason: 'reason' });
    assert.equal(await other.release({ ...request, from: 'held' }), true);
    assert.equal((await mustFind(other, request.id)).reason, undefined);
    const { result } = await win(other, { id: request.id });
    assert.deepEqual([result.attempt, result.abandoned], [2, false]);
    assertSteps(result.steps, { charge: 'paid' });
  },

  'does not settle as held what is not held': async (harness) => {
    const { store } = harness;
    const { request: inFlight } = await win(store);
    const { request: released } = await win(store);
    await store.release(released);
    for (const { id, owner } of [inFlight, released, await lapsed(harness)]) {
      await assertUnchanged(harness, id, async () => {
        const settle = { id, owner, ttlMs: LONG_MS, from: 'held' as const };
        assert.equal(await store.complete({ ...settle, reply: bytes('reply') }), false);
        assert.equal(await store.release(settle), false);
      });
    }
  },

  'does not forget a record whose lease is alive': async (harness) => {
    const { request } = await win(harness.store);
    await assertUnchanged(harness, request.id, async () => {
      assert.equal(await harness.other.forget(request.id), false);
    });
    assert.equal(await harness.store.complete({ ...request, reply: bytes('reply') }), true);
  },

  'forgets a record that nobody is working on': async (harness) => {
    const { store, other } = harness;
    const { request: released } = await win(store);
    await store.release(released);
    const issued = { id: newId() };
    await store.issue({ ...issued, ttlMs: LONG_MS });
    const records = [
      await completed(store),
      await held(store),
      released,
      issued,
      await lapsed(harness),
    ];
    for (const { id } of records) {
      assert.equal(await other.forget(id), true);
      assert.equal(await store.find(id), undefined);
      const { attempt, abandoned } = assertAcquired(await store.acquire(claimOf({ id })));
      assert.deepEqual([attempt, abandoned], [1, false]);
    }
  },

  'has nothing to forget where nothing is, or no longer': async ({ store, tickMs, elapse }) => {
    assert.equal(await store.forget(newId()), false);
    const { request } = await win(store);
    await store.complete({ ...request, reply: bytes('reply'), ttlMs: tickMs });
    await elapse(2 * tickMs);
    assert.equal(await store.forget(request.id), false);
  },
});
