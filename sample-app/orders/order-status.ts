import type { Transitions } from 'nestjs-idempotency';

export type OrderStatus = 'created' | 'paid' | 'shipped' | 'cancelled' | 'invalid';

/** What may become of an order, said once for all routes that change it. */
export const ORDER_TRANSITIONS = {
  created: ['paid', 'cancelled', 'invalid'],
  paid: ['shipped', 'cancelled'],
} as const satisfies Transitions;
