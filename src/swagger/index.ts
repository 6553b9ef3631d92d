export { createIdempotentDocument } from './create-idempotent-document.js';
export type { IdempotencyExtension } from './idempotency-extension.js';
