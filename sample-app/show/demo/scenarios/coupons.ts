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
      const replies = await visitor.sendAtOnce({ path: `/coupons/${randomUUID()}/claim` }, 20);
      expectCreated(...replies);
      const numbers = replies.map((reply) => Number(json(reply).no)).sort((a, b) => a - b);
      const each = Array.from(replies, (_, index) => index + 1);
      assert.deepEqual(numbers, each, `the same number twice: ${numbers.join(', ')}`);
      return [];
    },
  },
];
