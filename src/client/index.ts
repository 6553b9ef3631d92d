/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
export { IdempotentFetchError } from './errors.js';
export {
  createIdempotentFetch,
  type IdempotentFetch,
  type IdempotentRequestInit,
} from './fetch.js';
export type { IdempotentFetchOptions, IntentStorage } from './options.js';
