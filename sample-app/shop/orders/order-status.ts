import type { Transitions } from 'nestjs-idempotency';

/** The statuses that other systems report. */
export const ORDER_STATUSES = ['created', 'paid', 'shipped', 'cancelled'] as const;

/** `announced`: another system has reported the order, but nobody has placed it yet. */
export const EVERY_STATUS = ['announced', ...ORDER_STATUSES, 'invalid'] as const;
export type OrderStatus = (typeof EVERY_STATUS)[number];

/** The allowed transitions of an order, defined once for all routes that change it. */
export const ORDER_TRANSITIONS = {
  announced: ['created'],
  created: ['paid', 'cancelled', 'invalid'],
  paid: ['shipped', 'cancelled'],
} as const satisfies Transitions;
