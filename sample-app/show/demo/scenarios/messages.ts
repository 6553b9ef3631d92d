import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus } from '../expect.js';
import type { Scenario } from '../scenario.js';
import type { Call, Visitor } from '../visitor.js';
import { place } from './orders.js';

const PATIENCE_MS = 20_000;
/** How long deliveries that must do nothing are given to do something after all. */
const GRACE_MS = 500;

const message = (orderId: string, status: string): Call => ({
  path: '/messages/order-events',
  body: { messageId: randomUUID(), orderId, status },
});

/** Resolves when the order is paid, and its customer has been told. */
async function pay(visitor: Visitor, orderId: string): Promise<Call> {
  const paid = message(orderId, 'paid');
  const { sms: before = 0 } = await visitor.ledger();
  expectStatus(202, await visitor.send(paid));
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { sms = 0 } = await visitor.ledger();
    if ((sms > before && (await statusOf(visitor, orderId)) === 'paid') || Date.now() > deadline)
      return paid;
    await sleep(20);
  }
}

async function statusOf(visitor: Visitor, orderId: string): Promise<string> {
  return (await visitor.read<{ status: string }>(`/orders/${orderId}`)).status;
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
      const paid = await pay(visitor, await place(visitor));
      expectStatus(202, await visitor.send(paid));
      await sleep(GRACE_MS);
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
      await pay(visitor, id);
      expectStatus(202, await visitor.send(message(id, 'created')));
      await sleep(GRACE_MS);
      const status = await statusOf(visitor, id);
      assert.equal(status, 'paid', `the order is ${status}`);
      return [];
    },
  },
];
