import assert from 'node:assert/strict';
import type { IdempotencyStore, ListedState, RecordView } from '../../engine/store.js';
import { casesOf, type StoreHarness } from './contract-case.js';
import { bytes, completed, held, lapsed, LONG_MS, mustFind, newId, win } from './support.js';

const ABOUT = { scope: 'POST /payments', label: 'order 4711 – ünïcode' };
const SETTLED_BY = { by: 'ops', reason: 'the provider says: paid' };
const FAILURE = { name: 'TimeoutError', message: 'the provider did not answer' };
const PAGE = 7;

/** Cases for stores that have `list`. The others need not keep a story. */
export const stories = casesOf(10, {
  'tells what a record is about, and when it was claimed': telling(async ({ store, other }) => {
    const { request } = await win(store, ABOUT);
    const { story } = await mustFind(other, request.id);
    assert.equal(story?.scope, ABOUT.scope);
    assert.equal(story?.label, ABOUT.label);
    assert.ok((story?.createdAt ?? 0) > 0);
    assert.equal(story?.claimedAt, story?.createdAt);
    assert.equal(story?.heldAt, undefined);
    assert.equal(await store.complete({ ...request, reply: bytes('reply') }), true);
    assert.deepEqual((await mustFind(other, request.id)).story, story);
  }),

  'keeps when it was made over attempts': telling(async (harness) => {
    const { store, tickMs, elapse } = harness;
    const { id } = await lapsed(harness, ABOUT);
    const before = (await mustFind(store, id)).story;
    await elapse(tickMs);
    await win(store, { id, scope: ABOUT.scope, label: 'another' });
    const after = (await mustFind(store, id)).story;
    assert.equal(after?.createdAt, before?.createdAt);
    assert.ok(after!.claimedAt! > before!.claimedAt!);
    assert.equal(after?.label, 'another');
  }),

  'begins a new story once the record has expired': telling(async ({ store, tickMs, elapse }) => {
    const { request } = await win(store, { ...ABOUT, leaseMs: tickMs, ttlMs: tickMs });
    const { id } = request;
    await store.hold({ ...request, reason: 'reason', failure: FAILURE, ttlMs: tickMs });
    const held = await mustFind(store, id);
    await store.release({ ...request, from: 'held', ttlMs: tickMs, settledBy: SETTLED_BY });
    await elapse(3 * tickMs);
    await win(store, { id });
    const { story } = await mustFind(store, id);
    assert.ok(story!.createdAt! > held.story!.createdAt!);
    assert.deepEqual(
      [story?.heldAt, story?.failure, story?.settledAt, story?.settledBy, story?.scope],
      [undefined, undefined, undefined, undefined, undefined],
    );
  }),

  'tells why an operation is held, and for how long its reply would be kept': telling(
    async ({ store, other }) => {
      const { request } = await win(store, ABOUT);
      const reason = 'failed with status 500';
      const hold = { ...request, reason, failure: FAILURE, ttlMs: 7 * LONG_MS };
      assert.equal(await store.hold(hold), true);
      const { story, reason: told } = await mustFind(other, request.id);
      assert.equal(told, reason);
      assert.deepEqual(story?.failure, FAILURE);
      assert.equal(story?.keepsForMs, 7 * LONG_MS);
      assert.ok(story!.heldAt! >= story!.claimedAt!);
      assert.equal(story?.scope, ABOUT.scope);
    },
  ),

  'tells who has settled it, and why': telling(async ({ store, other }) => {
    const settled = await held(store, 'reason', ABOUT);
    const how = { ...settled, from: 'held' as const, settledBy: SETTLED_BY };
    assert.equal(await other.complete({ ...how, reply: bytes('paid') }), true);
    const { story, state } = await mustFind(store, settled.id);
    assert.equal(state, 'completed');
    assert.deepEqual(story?.settledBy, SETTLED_BY);
    assert.ok(story!.settledAt! >= story!.heldAt!);
    const released = await held(store, 'reason', ABOUT);
    const again = { ...released, from: 'held' as const, settledBy: SETTLED_BY };
    assert.equal(await other.release(again), true);
    await win(store, { id: released.id });
    assert.deepEqual((await mustFind(store, released.id)).story?.settledBy, SETTLED_BY);
  }),

  'lists held records in their order, a page at a time': telling(async ({ store, other }) => {
    const ids: string[] = [];
    for (let i = 0; i < 2 * PAGE + 1; i += 1) ids.push((await held(store, 'reason', ABOUT)).id);
    await completed(store);
    await win(store);
    const listed = (await all(other, 'held')).filter(({ id }) => ids.includes(id));
    assert.equal(listed.length, ids.length);
    assert.equal(new Set(listed.map(({ id }) => id)).size, ids.length);
    // A store that is made of several lists them one after the other.
    const lastOf = new Map<unknown, number>();
    for (const { id, story } of listed) {
      const part = other.partOf?.(id);
      assert.ok(story!.heldAt! >= (lastOf.get(part) ?? 0));
      lastOf.set(part, story!.heldAt!);
    }
    assert.equal(listed[0]!.reason, 'reason');
    assert.equal(listed[0]!.story?.label, ABOUT.label);
    for (const { id } of listed) await other.forget(id);
  }),

  'lists no record as held that is not': telling(async ({ store, other }) => {
    const settled = await held(store);
    await other.complete({ ...settled, from: 'held', reply: bytes('paid') });
    const released = await held(store);
    await other.release({ ...released, from: 'held' });
    const forgotten = await held(store);
    await other.forget(forgotten.id);
    const still = await held(store);
    const listed = (await all(other, 'held')).map(({ id }) => id);
    assert.ok(listed.includes(still.id));
    for (const { id } of [settled, released, forgotten]) assert.ok(!listed.includes(id));
    await other.forget(still.id);
  }),

  'goes on with a list whose last record was settled meanwhile': telling(
    async ({ store, other }) => {
      const ids = new Set<string>();
      for (let i = 0; i < 4; i += 1) ids.add((await held(store)).id);
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await other.list!({ state: 'held', after, limit: 1 });
        for (const { id, owner } of page.records) {
          if (!ids.has(id)) continue;
          seen.push(id);
          await other.release({ id, owner, from: 'held', ttlMs: LONG_MS });
        }
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(new Set(seen), ids);
      assert.equal(seen.length, ids.size);
    },
  ),

  'goes on with a list whose last record was held again meanwhile': telling(
    async ({ store, other }) => {
      const ids = new Set<string>();
      for (let i = 0; i < 4; i += 1) ids.add((await held(store)).id);
      const seen = new Set<string>();
      let after: string | undefined;
      do {
        const page = await other.list!({ state: 'held', after, limit: 1 });
        for (const { id, owner } of page.records) {
          if (!ids.has(id)) continue;
          if (seen.size === 1) {
            await other.release({ id, owner, from: 'held', ttlMs: LONG_MS });
            const { request } = await win(other, { id });
            await other.hold({ ...request, reason: 'again' });
          }
          seen.add(id);
        }
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(seen, ids);
      for (const id of ids) await other.forget(id);
    },
  ),

  'tells abandoned operations from those in flight': telling(async (harness) => {
    const { store, other } = harness;
    const abandoned = await lapsed(harness, ABOUT);
    const { request } = await win(store);
    let listed: readonly Listed[];
    try {
      listed = await all(other, 'abandoned');
    } catch (error) {
      // Where keys are spread over nodes.
      assert.match(String(error), /Cluster/);
      return;
    }
    const found = listed.find(({ id }) => id === abandoned.id);
    assert.equal(found?.story?.label, ABOUT.label);
    assert.equal(found?.state, 'in-flight');
    assert.ok(!listed.some(({ id }) => id === request.id));
    assert.ok((await all(other, 'in-flight')).some(({ id }) => id === request.id));
  }),

  'refuses a cursor that it has not given': telling(async ({ store }) => {
    const id = newId();
    await assert.rejects(async () => store.list!({ state: 'held', after: `!${id}`, limit: 1 }));
  }),
});

type Listed = Omit<RecordView, 'reply' | 'steps'>;

function telling(run: (harness: StoreHarness) => Promise<void>) {
  return async (harness: StoreHarness): Promise<void> => {
    if (harness.store.list !== undefined) await run(harness);
  };
}

/** All records in a state, page by page. */
async function all(store: IdempotencyStore, state: ListedState): Promise<readonly Listed[]> {
  const found: Listed[] = [];
  let after: string | undefined;
  do {
    const page = await store.list!({ state, after, limit: PAGE });
    assert.ok(page.records.length <= PAGE || state !== 'held');
    found.push(...page.records);
    after = page.next;
  } while (after !== undefined);
  return found;
}
