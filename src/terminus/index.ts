export { IdempotencyHealthIndicator } from './idempotency.health-indicator.js';
