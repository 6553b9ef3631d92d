import assert from 'node:assert/strict';
import type { Awaitable, ClaimRef, IdempotencyStore } from '../../engine/store.js';
import { casesOf, type ContractCase, type StoreHarness } from './contract-case.js';
import {
  assertReplays,
  assertUnchanged,
  bytes,
  claimOf,
  completed,
  lapsed,
  LONG_MS,
  mustFind,
  newId,
  newOwner,
  win,
} from './support.js';

type OwnersVerb = (store: IdempotencyStore, claim: ClaimRef) => Awaitable<boolean>;

/** What only the owner of a live lease may do. */
const OWNERS_VERBS: Readonly<Record<string, OwnersVerb>> = {
  extend: (store, { id, owner }) =>
    store.extend({ id, owner, leaseMs: 3 * LONG_MS, ttlMs: 3 * LONG_MS }),
  complete: (store, { id, owner }) =>
    store.complete({ id, owner, reply: bytes('stale'), ttlMs: 3 * LONG_MS }),
  release: (store, { id, owner }) => store.release({ id, owner, ttlMs: 3 * LONG_MS }),
  hold: (store, { id, owner }) => store.hold({ id, owner, reason: 'stale' }),
  saveStep: (store, { id, owner }) =>
    store.saveStep({ id, owner, name: 'stale', value: bytes('stale') }),
};

async function assertRefused(
  harness: StoreHarness,
  claim: ClaimRef,
  verb: OwnersVerb,
): Promise<void> {
  await assertUnchanged(harness, claim.id, async () => {
    assert.equal(await verb(harness.store, claim), false);
  });
}

function casesOfVerb(name: string, verb: OwnersVerb): ContractCase[] {
  return casesOf(2, {
    [`${name}: is carried out for the owner of a live lease`]: async ({ store, other }) => {
      const { request } = await win(store);
      assert.equal(await verb(other, request), true);
    },

    [`${name}: is refused to an owner that was taken over`]: async (harness) => {
      const old = await lapsed(harness);
      await win(harness.other, { id: old.id });
      await assertRefused(harness, old, verb);
    },

    [`${name}: is refused to an owner whose successor completed`]: async (harness) => {
      const old = await lapsed(harness);
      const { request } = await win(harness.other, { id: old.id });
      await harness.other.complete({ ...request, reply: bytes('the successor') });
      await assertRefused(harness, old, verb);
      await assertReplays(harness.store, request, bytes('the successor'));
    },

    [`${name}: is refused once the lease has run out, though nobody took over`]: async (
      harness,
    ) => {
      await assertRefused(harness, await lapsed(harness), verb);
    },

    [`${name}: is refused to another owner while the lease runs`]: async (harness) => {
      const { request } = await win(harness.store);
      await assertRefused(harness, { id: request.id, owner: newOwner() }, verb);
    },

    [`${name}: is refused to an owner whose name is only almost right`]: async (harness) => {
      const { request } = await win(harness.store, { owner: 'owner-a' });
      for (const owner of ['Owner-a', 'owner-a ', 'owner-', 'owner-%', '']) {
        await assertRefused(harness, { id: request.id, owner }, verb);
      }
    },

    [`${name}: is refused to an owner that released`]: async (harness) => {
      const { request } = await win(harness.store);
      await harness.store.release(request);
      await assertRefused(harness, request, verb);
    },

    [`${name}: is refused on a record that nobody claimed`]: async (harness) => {
      const id = newId();
      await harness.store.issue({ id, ttlMs: LONG_MS });
      await assertRefused(harness, { id, owner: '' }, verb);
    },

    [`${name}: is refused on a record that is not there, and makes none`]: async (harness) => {
      const claim = claimOf();
      await assertRefused(harness, claim, verb);
      assert.equal(await harness.store.find(claim.id), undefined);
    },
  });
}

const together = casesOf(2, {
  'leaves the successor its claim, whatever the old owner tries': async (harness) => {
    const old = await lapsed(harness);
    const { request } = await win(harness.other, { id: old.id });
    for (const verb of Object.values(OWNERS_VERBS)) await verb(harness.store, old);
    assert.equal(await harness.other.complete({ ...request, reply: bytes('right') }), true);
    await assertReplays(harness.store, request, bytes('right'));
  },

  'shows the present owner': async ({ store, other, tickMs, elapse }) => {
    const old = await lapsed({ store, other, tickMs, elapse });
    assert.equal((await mustFind(other, old.id)).owner, old.owner);
    const { request } = await win(other, { id: old.id });
    assert.equal((await mustFind(store, old.id)).owner, request.owner);
  },

  'refuses a release that comes after the completion': async (harness) => {
    const done = await completed(harness.store);
    await assertRefused(harness, done, (store, claim) =>
      store.release({ ...claim, ttlMs: LONG_MS }),
    );
  },
});

export const compareAndSet: readonly ContractCase[] = [
  ...Object.entries(OWNERS_VERBS).flatMap(([name, verb]) => casesOfVerb(name, verb)),
  ...together,
];
