/** The handlers that change something, and the name that `GET /effects` counts each of them under. */
export const EFFECT_OF = {
  'OrdersController.place': 'POST /orders',
  'OrdersController.deleteAll': 'DELETE /orders',
  'OrderStatusController.pay': 'POST /orders/:id/pay',
  'OrderStatusController.ship': 'POST /orders/:id/ship',
  'OrderStatusController.cancel': 'POST /orders/:id/cancel',
  'OrderStatusController.invalidate': 'POST /orders/:id/invalidate',
  'PaymentsController.pay': 'POST /payments',
  'PaymentsController.payByOrder': 'POST /payments/by-order',
  'TransfersController.transfer': 'POST /transfers',
  'GoodsController.decrement': 'POST /goods/:id/decrement',
  'GoodsController.rename': 'PUT /goods/:id',
  'GoodsController.renameByVersion': 'PUT /goods/:id/name',
  'CategoriesController.categorize': 'PUT /goods/:id/categories/:categoryId',
  'CouponsController.claim': 'POST /coupons/:id/claim',
  'CommentsController.comment': 'POST /comments',
  'VotesController.vote': 'POST /votes/:target',
  'SlowController.slow': 'POST /slow',
  'FlakyController.flaky': 'POST /flaky',
  'OrderEventsConsumer.created': 'POST /messages/order-events',
  'OrderEventsConsumer.paid': 'POST /messages/order-events',
  'OrderEventsConsumer.shipped': 'POST /messages/order-events',
  'OrderEventsConsumer.cancelled': 'POST /messages/order-events',
  'SmsConsumer.send': 'SMS',
  'ImportsController.import': 'POST /imports',
  'ImportsProcessor.process': 'JOB imports',
  'ReportsService.write': 'CRON reports',
} as const;

export type Handler = keyof typeof EFFECT_OF;

/** How often each of them has run. `POST /messages/order-events` counts its consumer. */
export type Effects = Record<(typeof EFFECT_OF)[Handler], number>;
