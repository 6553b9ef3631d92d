import assert from 'node:assert/strict';
import type { AcquireRequest, AcquireResult } from '../../engine/store.js';
import { casesOf, type StoreHarness } from './contract-case.js';
import {
  assertAcquired,
  assertReplays,
  assertUnchanged,
  bytes,
  claimOf,
  completed,
  held,
  lapsed,
  LONG_MS,
  purge,
  win,
} from './support.js';

/** Claims with a longer and a shorter lease, which both must be refused and leave no trace. */
async function assertRefused(
  harness: StoreHarness,
  id: string,
  fingerprint: string,
  outcome: AcquireResult['outcome'],
): Promise<void> {
  await assertUnchanged(harness, id, async () => {
    for (const durationMs of [3 * LONG_MS, 1]) {
      const claim: AcquireRequest = claimOf({
        id,
        fingerprint,
        leaseMs: durationMs,
        ttlMs: durationMs,
      });
      assert.equal((await harness.store.acquire(claim)).outcome, outcome);
    }
  });
}

export const refusedDuplicates = casesOf(4, {
  'leaves a record in flight to its owner': async (harness) => {
    const { request } = await win(harness.store);
    await harness.store.saveStep({ ...request, name: 'step', value: bytes('value') });
    await assertRefused(harness, request.id, request.fingerprint, 'in-flight');
    assert.equal(await harness.other.complete({ ...request, reply: bytes('reply') }), true);
  },

  'leaves a completed record as it is': async (harness) => {
    const { id, fingerprint } = await completed(harness.store);
    await assertRefused(harness, id, fingerprint, 'completed');
  },

  'leaves a held record as it is': async (harness) => {
    const { id, fingerprint } = await held(harness.store);
    await assertRefused(harness, id, fingerprint, 'held');
  },

  'answers other content with a mismatch while the first is in flight': async (harness) => {
    const { request } = await win(harness.store);
    await assertRefused(harness, request.id, 'other content', 'mismatch');
    assert.equal(await harness.other.complete({ ...request, reply: bytes('reply') }), true);
    await assertReplays(harness.store, request, bytes('reply'));
  },

  'tells whose content the record has, so that a refusal can say what differs': async (harness) => {
    const { store } = harness;
    const running = claimOf({ fingerprint: 'content.caller' });
    await store.acquire(running);
    const finished = claimOf({ fingerprint: 'content.caller' });
    await store.acquire(finished);
    await store.complete({ ...finished, reply: Buffer.from('reply') });
    for (const { id } of [running, finished]) {
      const refused = await store.acquire(claimOf({ id, fingerprint: 'content.other' }));
      assert.deepEqual(refused, { outcome: 'mismatch', fingerprint: 'content.caller' });
    }
  },

  'answers other content with a mismatch after the lease has run out': async (harness) => {
    const old = await lapsed(harness);
    await assertRefused(harness, old.id, 'other content', 'mismatch');
    const { result } = await win(harness.other, { id: old.id });
    assert.deepEqual([result.attempt, result.abandoned], [2, true]);
  },

  'answers other content with a mismatch after the completion': async (harness) => {
    const request = await completed(harness.store);
    await assertRefused(harness, request.id, 'other content', 'mismatch');
    await assertReplays(harness.other, request, bytes('reply'));
  },

  'answers other content with a mismatch rather than the reason of a held record': async (
    harness,
  ) => {
    const { id } = await held(harness.store);
    await assertRefused(harness, id, 'other content', 'mismatch');
  },

  'answers other content with a mismatch after a release that kept steps': async (harness) => {
    const { request } = await win(harness.store);
    await harness.store.saveStep({ ...request, name: 'charge', value: bytes('paid') });
    await harness.store.release(request);
    await assertRefused(harness, request.id, 'other content', 'mismatch');
  },

  'tells fingerprints apart exactly': async (harness) => {
    const { request } = await win(harness.store, { fingerprint: 'café' });
    for (const fingerprint of ['Café', 'café ', 'cafe', 'cafe\u0301', 'caf%', 'caf_', 'caf']) {
      await assertRefused(harness, request.id, fingerprint, 'mismatch');
    }
  },

  'lets an empty fingerprint match every record': async (harness) => {
    const { request: inFlight } = await win(harness.store);
    const done = await completed(harness.store);
    await assertRefused(harness, inFlight.id, '', 'in-flight');
    await assertRefused(harness, done.id, '', 'completed');
  },

  'lets every fingerprint match a record without one': async (harness) => {
    const { request } = await win(harness.store, { fingerprint: '' });
    await assertRefused(harness, request.id, 'any', 'in-flight');
    await harness.store.complete({ ...request, reply: bytes('reply') });
    await assertRefused(harness, request.id, 'any', 'completed');
  },

  'keeps the fingerprint when a claim without one takes over': async (harness) => {
    const old = await lapsed(harness);
    await win(harness.store, { id: old.id, fingerprint: '' });
    await assertRefused(harness, old.id, 'other content', 'mismatch');
  },

  'is not changed by being looked at': async (harness) => {
    const { request } = await win(harness.store);
    await assertUnchanged(harness, request.id, async () => {
      await harness.store.find(request.id);
      await purge(harness.store, 1000);
    });
  },

  'refuses nobody because others were refused before': async (harness) => {
    const old = await lapsed(harness);
    for (let round = 0; round < 3; round += 1) {
      await harness.store.acquire(claimOf({ id: old.id, fingerprint: 'other content' }));
    }
    assertAcquired(await harness.other.acquire(claimOf({ id: old.id })));
  },
});
