import type { Transitions } from 'nestjs-idempotency';

/** `announced`: another system has told of it, and nobody has placed it yet. */
export type OrderStatus = 'announced' | 'created' | 'paid' | 'shipped' | 'cancelled' | 'invalid';

/** What other systems tell of orders. */
export const ORDER_STATUSES = ['created', 'paid', 'shipped', 'cancelled'] as const;

/** What may become of an order, said once for all routes that change it. */
export const ORDER_TRANSITIONS = {
  announced: ['created'],
  created: ['paid', 'cancelled', 'invalid'],
  paid: ['shipped', 'cancelled'],
} as const satisfies Transitions;
