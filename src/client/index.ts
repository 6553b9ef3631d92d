/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
export type { Messages } from './busy.js';
export { type ButtonWork, protectButton, type ProtectButtonOptions } from './button.js';
export { IdempotentFetchError } from './options.js';
export {
  createIdempotentFetch,
  type IdempotentFetch,
  type IdempotentRequestInit,
} from './fetch.js';
export { protectForm, type ProtectFormOptions, type Protection } from './form.js';
export type { FormEncoding, FormRequestOptions } from './form-request.js';
export type { IdempotentFetchOptions, Retry } from './options.js';
export type { IntentStorage } from './intents.js';
