import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { expectCreated } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { json } from '../visitor.js';

export const coupons: readonly Scenario[] = [
  {
    id: 'S12',
    title: 'a coupon claimed 20 times at once',
    route: 'POST /coupons/:id/claim',
    runs: 20,
    async play(visitor) {
      const call = { path: `/coupons/${randomUUID()}/claim` };
      // Whoever has waited in vain for a turn was not served, and asks again.
      const claim = () => visitor.sendUntilAnswered(call);
      const replies = await Promise.all(Array.from({ length: 20 }, claim));
      expectCreated(...replies);
      const numbers = replies.map((reply) => Number(json(reply).no)).sort((a, b) => a - b);
      const each = Array.from(replies, (_, index) => index + 1);
      assert.deepEqual(numbers, each, `the same number twice: ${numbers.join(', ')}`);
      return [];
    },
  },
];
