import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { casesOf, type StoreHarness } from './contract-case.js';
import {
  assertBytes,
  assertReplays,
  bytes,
  completed,
  mustFind,
  newOwner,
  win,
} from './support.js';

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, value) => value);

async function assertRoundTrip(harness: StoreHarness, reply: Uint8Array): Promise<void> {
  const request = await completed(harness.store, reply);
  await assertReplays(harness.other, request, reply);
  assertBytes((await mustFind(harness.other, request.id)).reply, reply);
}

export const opaqueReplies = casesOf(7, {
  'returns every byte value': (harness) => assertRoundTrip(harness, EVERY_BYTE),

  'returns bytes that are no UTF-8': (harness) =>
    assertRoundTrip(harness, Uint8Array.of(0xc3, 0x28, 0xed, 0xa0, 0x80, 0xff, 0xfe, 0x00)),

  'returns text as it was encoded': async (harness) => {
    for (const text of [
      '{"a":1,"a":2 }',
      'null',
      '\ufeffBOM',
      'line\r\nline\n',
      "it's \\x00 \\\\",
    ]) {
      await assertRoundTrip(harness, bytes(text));
    }
  },

  'returns an empty reply, which is a reply': async (harness) => {
    await assertRoundTrip(harness, new Uint8Array(0));
  },

  'returns a mebibyte': (harness) => assertRoundTrip(harness, randomBytes(2 ** 20)),

  'returns the part of a buffer that was handed in': async (harness) => {
    const whole = Buffer.from('before|reply|after');
    const request = await completed(harness.store, whole.subarray(7, 12));
    await assertReplays(harness.other, request, bytes('reply'));
  },

  'returns the values of steps in the same way': async (harness) => {
    const { store, other } = harness;
    const values = [EVERY_BYTE, new Uint8Array(0), randomBytes(2 ** 16)];
    const { request } = await win(store);
    for (const [index, value] of values.entries()) {
      await store.saveStep({ ...request, name: `step ${index}`, value });
    }
    await store.release(request);
    const { result } = await win(other, { id: request.id });
    values.forEach((value, index) => assertBytes(result.steps.get(`step ${index}`), value));
  },

  'keeps a reply that a held record is settled with': async ({ store, other }) => {
    const { request } = await win(store);
    await store.hold({ ...request, reason: 'reason' });
    await store.complete({ ...request, reply: EVERY_BYTE, from: 'held' });
    await assertReplays(other, request, EVERY_BYTE);
  },

  'is not changed by what the caller does to the bytes afterwards': async ({ store, other }) => {
    const { request } = await win(store);
    const value = Buffer.from('value');
    await store.saveStep({ ...request, name: 'step', value });
    value.fill(0);
    const reply = Buffer.from('reply');
    assertBytes((await mustFind(other, request.id)).steps.get('step'), bytes('value'));
    await store.complete({ ...request, reply });
    reply.fill(0);
    await assertReplays(other, request, bytes('reply'));
  },

  'is not changed by what is done to the bytes that it gave': async ({ store }) => {
    const request = await completed(store);
    (await mustFind(store, request.id)).reply?.fill(0);
    const result = await store.acquire({ ...request, owner: newOwner() });
    if (result.outcome !== 'completed') assert.fail(result.outcome);
    result.reply.fill(0);
    await assertReplays(store, request, bytes('reply'));
  },
});
