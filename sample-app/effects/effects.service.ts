import { Injectable } from '@nestjs/common';

const NOT_YET = {
  'POST /orders': 0,
  'DELETE /orders': 0,
  'POST /orders/:id/pay': 0,
  'POST /orders/:id/ship': 0,
  'POST /orders/:id/cancel': 0,
  'POST /orders/:id/invalidate': 0,
  'POST /payments': 0,
  'POST /payments/by-order': 0,
  'POST /transfers': 0,
  'POST /goods/:id/decrement': 0,
  'PUT /goods/:id': 0,
  'PUT /goods/:id/name': 0,
  'PUT /goods/:id/categories/:categoryId': 0,
  'POST /coupons/:id/claim': 0,
  'POST /comments': 0,
  'POST /votes/:target': 0,
  'POST /slow': 0,
  'POST /flaky': 0,
  'POST /messages/order-events': 0,
  SMS: 0,
  'POST /imports': 0,
  'JOB imports': 0,
  'CRON reports': 0,
};

/**
 * How often every handler that changes something has run: of routes, and of what comes from a queue
 * or a timer. For `POST /messages/order-events` it is the consumer that counts.
 */
export type Effects = Record<keyof typeof NOT_YET, number>;

/**
 * Counts how often handler bodies really run. Handlers say it themselves, in their first line:
 * what is counted is the work, not what the library reports about it.
 */
@Injectable()
export class EffectsService {
  readonly counts: Effects = { ...NOT_YET };

  ran(route: keyof Effects): void {
    this.counts[route] += 1;
  }
}
