import assert from 'node:assert/strict';
import { casesOf } from './contract-case.js';
import {
  assertReplays,
  bytes,
  claimOf,
  completed,
  held,
  lapsed,
  LONG_MS,
  mustFind,
  newId,
  newOwner,
  win,
} from './support.js';

/** All different. Each would break some encoding, statement or pattern. */
const HOSTILE_TEXTS: readonly string[] = [
  'plain',
  'Plain',
  'plain ',
  ' plain',
  "it's",
  'say "hi"',
  "'; DROP TABLE records; --",
  '{"json":["text"]}',
  'back\\slash',
  '\\u0000',
  'nul \0 inside',
  '\0',
  'line\r\nbreak\ttab',
  '%s %d %',
  '$1 ? :name @name ${x}',
  '[a-z]+.*(-)^$',
  'caf\u00e9',
  'cafe\u0301',
  '\ufeffbom',
  '\u202eright to left',
  'ıİßſ',
  '👩‍👩‍👧‍👦',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  '0',
  '1e3',
  'x'.repeat(10_000),
  'é'.repeat(10_000),
];

/** Like {@link newId}, but with a letter in it. */
function newIdWithLetter(): string {
  return `a${newId().slice(1)}`;
}

export const exactKeys = casesOf(8, {
  'tells ids apart that differ in one character': async ({ store, other }) => {
    const id = newIdWithLetter();
    const request = await completed(store);
    await win(store, { id });
    for (const near of [`b${id.slice(1)}`, `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`]) {
      assert.equal(await other.find(near), undefined);
      assert.equal((await win(other, { id: near })).result.attempt, 1);
    }
    await assertReplays(other, request, bytes('reply'));
  },

  'tells ids apart that differ in case': async ({ store, other }) => {
    const id = newIdWithLetter();
    await win(store, { id });
    assert.equal(await other.find(id.toUpperCase()), undefined);
    assert.equal((await win(other, { id: id.toUpperCase() })).result.attempt, 1);
  },

  'takes no id for a pattern or a prefix': async ({ store, other }) => {
    const id = newId();
    await win(store, { id });
    for (const pattern of [
      '*',
      '%',
      id.slice(0, 32),
      `${id.slice(0, 63)}_`,
      `${id.slice(0, 63)}?`,
    ]) {
      assert.equal(await other.find(pattern), undefined);
      assert.equal(await other.forget(pattern), false);
    }
  },

  'keeps any text as fingerprint, and tells all apart': async (harness) => {
    const { store, other } = harness;
    for (const [index, fingerprint] of HOSTILE_TEXTS.entries()) {
      const { request } = await win(store, { fingerprint });
      assert.equal((await mustFind(other, request.id)).fingerprint, fingerprint);
      const same = await other.acquire(claimOf({ id: request.id, fingerprint }));
      assert.equal(same.outcome, 'in-flight');
      const next = HOSTILE_TEXTS[(index + 1) % HOSTILE_TEXTS.length] as string;
      const different = await other.acquire(claimOf({ id: request.id, fingerprint: next }));
      assert.equal(different.outcome, 'mismatch');
    }
  },

  'keeps any text as owner': async ({ store, other }) => {
    for (const text of HOSTILE_TEXTS) {
      const owner = `${newOwner()}${text}`;
      const { request } = await win(store, { owner });
      assert.equal((await mustFind(other, request.id)).owner, owner);
      assert.equal(await other.extend({ ...request, leaseMs: LONG_MS }), true);
      assert.equal(await other.complete({ ...request, reply: bytes('reply') }), true);
    }
  },

  'keeps any text as name of a step, and tells all apart': async ({ store, other }) => {
    const { request } = await win(store);
    for (const name of HOSTILE_TEXTS) {
      assert.equal(await store.saveStep({ ...request, name, value: bytes(name) }), true);
    }
    await store.release(request);
    const { steps } = (await win(other, { id: request.id })).result;
    const texts = [...steps].map(([name, value]) => [name, Buffer.from(value).toString()] as const);
    assert.deepEqual(new Map(texts), new Map(HOSTILE_TEXTS.map((text) => [text, text])));
  },

  'keeps any text as reason': async ({ store, other }) => {
    for (const reason of ['', ...HOSTILE_TEXTS]) {
      const { id } = await held(store, reason);
      assert.deepEqual(await other.acquire(claimOf({ id })), { outcome: 'held', reason });
      assert.equal((await mustFind(other, id)).reason, reason);
    }
  },

  'takes over and settles under any fingerprint and owner': async (harness) => {
    const fingerprint = `\0'"\\👩‍👧{}`;
    const old = await lapsed(harness, { fingerprint, owner: `${newOwner()}\0'"` });
    const { request } = await win(harness.other, { id: old.id, fingerprint });
    assert.equal(await harness.store.release({ ...old }), false);
    assert.equal(await harness.store.complete({ ...request, reply: bytes('reply') }), true);
  },
});
