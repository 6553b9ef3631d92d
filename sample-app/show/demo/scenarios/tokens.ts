import {
  expectAnsweredOrInUse,
  expectCreated,
  expectRefused,
  expectReplayed,
  signedInAs,
} from '../expect.js';
import type { Scenario } from '../scenario.js';
import { isInUse } from '../visitor.js';
import { placeOrder } from './orders.js';

const PLACING = { route: 'POST /orders', table: 'orders', lane: 'orders' } as const;

export const tokens: readonly Scenario[] = [
  {
    id: 'S1',
    title: 'reply to an order lost, retried',
    ...PLACING,
    runs: 1,
    async play(visitor) {
      const call = placeOrder(await visitor.token());
      await visitor.loseReply(call, this.route);
      const retries = [await visitor.sendUntilAnswered(call), await visitor.send(call)];
      expectCreated(...retries);
      expectReplayed(...retries);
      return [retries];
    },
  },
  {
    id: 'S10',
    title: 'a form submitted 20 times at once',
    ...PLACING,
    runs: 1,
    async play(visitor) {
      const call = placeOrder(await visitor.token());
      const replies = await visitor.sendAtOnce(call, 20);
      expectAnsweredOrInUse(replies);
      const later = await visitor.sendUntilAnswered(call);
      expectReplayed(later);
      return [[...replies.filter((reply) => !isInUse(reply)), later]];
    },
  },
  {
    id: 'S10',
    title: 'a token of somebody else, and a forged one',
    ...PLACING,
    runs: 1,
    async play(visitor) {
      const alices = await visitor.token(signedInAs('alice'));
      const foreign = placeOrder({ ...alices, ...signedInAs('bob') });
      expectRefused(await visitor.send(foreign), 422, 'IDEMPOTENCY_TOKEN_INVALID');
      const forged = placeOrder({ 'Idempotency-Key': 'forged' });
      expectRefused(await visitor.send(forged), 422, 'IDEMPOTENCY_TOKEN_INVALID');
      const first = await visitor.send(placeOrder(alices));
      expectCreated(first);
      return [[first, await visitor.send(placeOrder(alices))]];
    },
  },
];
