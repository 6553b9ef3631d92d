import assert from 'node:assert';
import { expectCreated, expectRefused, expectReplayed, expectStatus } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { json, type Call, type Visitor } from '../visitor.js';

export const placeOrder = (token: Record<string, string>): Call => ({
  path: '/orders',
  headers: token,
  body: { sku: 'lamp', quantity: 2 },
});

const change = (id: string, how: 'pay' | 'ship' | 'cancel' | 'invalidate'): Call => ({
  path: `/orders/${id}/${how}`,
});

/** The id of a new one. */
export async function place(visitor: Visitor): Promise<string> {
  const reply = await visitor.sendUntilAnswered(placeOrder(await visitor.token()));
  expectCreated(reply);
  return json<{ id: string }>(reply).id;
}

async function placeInvalid(visitor: Visitor): Promise<string> {
  const id = await place(visitor);
  expectCreated(await visitor.sendUntilAnswered(change(id, 'invalidate')));
  return id;
}

export const orders: readonly Scenario[] = [
  {
    id: 'S9',
    title: 'an order paid again after it was shipped',
    route: 'POST /orders/:id/pay',
    lane: 'orders',
    runs: 1,
    async play(visitor) {
      const id = await place(visitor);
      const pay = change(id, 'pay');
      expectRefused(
        await visitor.sendUntilAnswered(change(id, 'ship')),
        409,
        'IDEMPOTENCY_STATE_CONFLICT',
      );
      await visitor.loseReply(pay, this.route);
      const paid = await visitor.sendUntilAnswered(pay);
      expectCreated(await visitor.sendUntilAnswered(change(id, 'ship')));
      const again = await visitor.sendUntilAnswered(pay);
      expectReplayed(paid, again);
      expectRefused(
        await visitor.sendUntilAnswered(change(id, 'cancel')),
        409,
        'IDEMPOTENCY_STATE_CONFLICT',
      );
      const { status } = await visitor.read<{ status: string }>(`/orders/${id}`);
      assert.equal(status, 'shipped', `the order is ${status}`);
      return [[paid, again]];
    },
  },
  {
    id: 'S20',
    title: 'an order paid and cancelled at the same time',
    route: 'POST /orders/:id/cancel',
    lane: 'orders',
    runs: 1,
    async play(visitor) {
      const id = await place(visitor);
      // Paid or not, it may be cancelled: whoever comes first, both changes are whole.
      const replies = await Promise.all([
        visitor.sendUntilAnswered(change(id, 'cancel')),
        visitor.sendUntilAnswered(change(id, 'pay')),
      ]);
      expectCreated(replies[0]);
      const { status } = await visitor.read<{ status: string }>(`/orders/${id}`);
      assert.equal(status, 'cancelled', `the order is ${status}`);
      return [[replies[0], await visitor.sendUntilAnswered(change(id, 'cancel'))]];
    },
  },
  {
    id: 'S21',
    title: 'invalid orders deleted, and again later',
    route: 'DELETE /orders',
    lane: 'orders',
    runs: 1,
    async play(visitor) {
      const gone = await placeInvalid(visitor);
      const call = {
        method: 'DELETE',
        path: '/orders?status=invalid',
        headers: await visitor.token(),
      } as const;
      const first = await visitor.sendUntilAnswered(call);
      expectStatus(200, first);
      // Nobody has asked for this one to be deleted.
      const invalidSince = await placeInvalid(visitor);
      const again = await visitor.sendUntilAnswered(call);
      expectReplayed(again);
      expectStatus(404, await visitor.get(`/orders/${gone}`));
      expectStatus(200, await visitor.get(`/orders/${invalidSince}`));
      return [[first, again]];
    },
  },
];
