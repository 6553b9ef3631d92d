export type { AdminOptions } from './admin.controller.js';
export { IdempotencyAdminModule } from './admin.module.js';
