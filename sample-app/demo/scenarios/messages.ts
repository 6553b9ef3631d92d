import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus } from '../expect.js';
import type { Scenario } from '../scenario.js';
import type { Call, Visitor } from '../visitor.js';
import { place } from './orders.js';

/** How long the deliveries that must do nothing are given to do something after all. */
const GRACE_MS = 500;

const message = (orderId: string, status: string): Call => ({
  path: '/messages/order-events',
  body: { messageId: randomUUID(), orderId, status },
});

async function deliver(visitor: Visitor, call: Call): Promise<void> {
  expectStatus(202, await visitor.send(call));
  await sleep(GRACE_MS);
}

export const messages: readonly Scenario[] = [
  {
    id: 'S5',
    title: 'a message delivered four times: one text',
    route: 'SMS',
    table: 'sms',
    lane: 'orders',
    runs: 1,
    async play(visitor) {
      const paid = message(await place(visitor), 'paid');
      await deliver(visitor, paid);
      await deliver(visitor, paid);
      return [];
    },
  },
  {
    id: 'S4',
    title: '"paid" comes before "created"',
    route: 'POST /messages/order-events',
    lane: 'orders',
    runs: 1,
    async play(visitor) {
      const id = await place(visitor);
      await deliver(visitor, message(id, 'paid'));
      await deliver(visitor, message(id, 'created'));
      const { status } = await visitor.read<{ status: string }>(`/orders/${id}`);
      assert.equal(status, 'paid', `the order is ${status}`);
      return [];
    },
  },
];
