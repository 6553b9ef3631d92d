import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import {
  expectAnsweredOrInUse,
  expectCreated,
  expectRefused,
  expectReplayed,
  newKey,
  signedInAs,
} from '../expect.js';
import type { Scenario } from '../scenario.js';
import { isInUse, json, type Call } from '../visitor.js';

const pay = (headers: Record<string, string>): Call => ({
  path: '/payments',
  headers,
  body: { orderId: randomUUID(), amount: 40 },
});

const payOrder = (orderNo: string, amount: number): Call => ({
  path: '/payments/by-order',
  body: { orderNo, amount },
});

export const payments: readonly Scenario[] = [
  {
    id: 'S1',
    title: 'reply to a payment lost, retried',
    route: 'POST /payments',
    table: 'payments',
    runs: 1,
    async play(visitor) {
      const call = pay(newKey());
      await visitor.loseReply(call, this.route);
      const retries = [await visitor.sendUntilAnswered(call), await visitor.send(call)];
      expectCreated(...retries);
      expectReplayed(...retries);
      return [retries];
    },
  },
  {
    id: 'S19',
    title: 'a key that somebody else uses too',
    route: 'POST /payments',
    table: 'payments',
    runs: 2,
    async play(visitor) {
      const key = newKey();
      const call = pay(key);
      const alices = { ...call, headers: { ...key, ...signedInAs('alice') } };
      const bobs = { ...call, headers: { ...key, ...signedInAs('bob') } };
      const alice = await visitor.sendUntilAnswered(alices);
      const bob = await visitor.sendUntilAnswered(bobs);
      expectCreated(alice, bob);
      assert.notEqual(json(bob).id, json(alice).id, "got another user's reply");
      return [
        [alice, await visitor.send(alices)],
        [bob, await visitor.send(bobs)],
      ];
    },
  },
  {
    id: 'S20',
    title: '50 identical payments at once',
    route: 'POST /payments',
    table: 'payments',
    runs: 1,
    async play(visitor) {
      const call = pay(newKey());
      const replies = await visitor.sendAtOnce(call, 50);
      expectAnsweredOrInUse(replies);
      const again = await Promise.all(
        replies.filter(isInUse).map(() => visitor.sendUntilAnswered(call)),
      );
      expectReplayed(...again);
      return [[...replies.filter((reply) => !isInUse(reply)), ...again]];
    },
  },
  {
    id: 'S3',
    title: 'the same order number paid again',
    route: 'POST /payments/by-order',
    table: 'payments',
    runs: 1,
    async play(visitor) {
      const call = payOrder(randomUUID(), 40);
      await visitor.loseReply(call, this.route);
      const retries = [await visitor.sendUntilAnswered(call), await visitor.send(call)];
      expectCreated(...retries);
      expectReplayed(...retries);
      return [retries];
    },
  },
  {
    id: 'S3b',
    title: 'the same order number, another amount',
    route: 'POST /payments/by-order',
    table: 'payments',
    runs: 1,
    async play(visitor) {
      const orderNo = randomUUID();
      const first = await visitor.send(payOrder(orderNo, 40));
      expectCreated(first);
      expectRefused(await visitor.send(payOrder(orderNo, 41)), 422, 'IDEMPOTENCY_KEY_REUSED');
      return [[first, await visitor.send(payOrder(orderNo, 40))]];
    },
  },
];
