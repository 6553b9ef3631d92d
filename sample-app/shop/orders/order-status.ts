import type { Transitions } from 'nestjs-idempotency';

/** What other systems tell of orders. */
export const ORDER_STATUSES = ['created', 'paid', 'shipped', 'cancelled'] as const;

/** `announced`: another system has told of it, and nobody has placed it yet. */
export const EVERY_STATUS = ['announced', ...ORDER_STATUSES, 'invalid'] as const;
export type OrderStatus = (typeof EVERY_STATUS)[number];

/** What may become of an order, said once for all routes that change it. */
export const ORDER_TRANSITIONS = {
  announced: ['created'],
  created: ['paid', 'cancelled', 'invalid'],
  paid: ['shipped', 'cancelled'],
} as const satisfies Transitions;
