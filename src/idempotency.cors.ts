import { IF_MATCH_HEADER, KEY_HEADER } from './keys/header-source.js';
import { REPEATABILITY } from './keys/repeatability.js';
import { ERROR_HEADER, REPLAYED_HEADER, RETRY_AFTER_HEADER } from './transports/http/headers.js';

/**
 * Request headers that browsers may send to another origin, for `enableCors({ allowedHeaders })`.
 * Add the module's `header` if it has another name, and whatever else the application needs, such
 * as `Authorization`.
 */
export const CORS_ALLOWED_HEADERS: string[] = [
  KEY_HEADER,
  REPEATABILITY.id,
  REPEATABILITY.firstSent,
  REPEATABILITY.client,
  IF_MATCH_HEADER,
  'Content-Type',
];

/**
 * Response headers that scripts of another origin can read only if they are exposed, for
 * `enableCors({ exposedHeaders })`. The mark of a replay, the code of a refusal and `Retry-After`
 * are exposed without this too, wherever they are sent. `ETag` (strategy `version`) and `Location`
 * are not.
 */
export const CORS_EXPOSED_HEADERS: string[] = [
  REPLAYED_HEADER,
  ERROR_HEADER,
  RETRY_AFTER_HEADER,
  REPEATABILITY.result,
  'ETag',
  'Location',
];
