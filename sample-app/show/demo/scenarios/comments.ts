import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectCreated, expectReplayed, signedInAs } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { json, type Call, type Reply } from '../visitor.js';

/** The window of `POST /comments`, and a little more. */
const AFTER_THE_WINDOW_MS = 10_500;

const say = (body: object, name = 'alice'): Call => ({
  path: '/comments',
  headers: signedInAs(name),
  body,
});

function expectAnother(reply: Reply, first: Reply): void {
  expectCreated(reply);
  assert.notEqual(json(reply).id, json(first).id, 'took it for the same comment');
}

export const comments: readonly Scenario[] = [
  {
    id: 'S13',
    title: 'the same comment twice, fields in another order',
    route: 'POST /comments',
    table: 'comments',
    runs: 1,
    async play(visitor) {
      const text = randomUUID();
      const first = await visitor.send(say({ text, topic: 'lamps' }));
      const again = await visitor.send(say({ topic: 'lamps', text }));
      expectCreated(first);
      expectReplayed(again);
      return [[first, again]];
    },
  },
  {
    id: 'S13',
    title: 'the same comment of two users',
    route: 'POST /comments',
    table: 'comments',
    runs: 2,
    async play(visitor) {
      const text = randomUUID();
      const alice = await visitor.send(say({ text }));
      const again = await visitor.send(say({ text }));
      expectAnother(await visitor.send(say({ text }, 'bob')), alice);
      return [[alice, again]];
    },
  },
  {
    id: 'S13',
    title: 'the same comment after the window',
    route: 'POST /comments',
    table: 'comments',
    runs: 2,
    async play(visitor) {
      const text = randomUUID();
      const first = await visitor.send(say({ text }));
      const again = await visitor.send(say({ text }));
      await sleep(AFTER_THE_WINDOW_MS);
      const later = await visitor.send(say({ text }));
      expectAnother(later, first);
      return [[first, again]];
    },
  },
];
