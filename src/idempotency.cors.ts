import { IF_MATCH_HEADER, KEY_HEADER } from './keys/header-source.js';
import { ERROR_HEADER, REPLAYED_HEADER, RETRY_AFTER_HEADER } from './transports/http/headers.js';

/**
 * Request headers that a browser asks for before it sends them to another origin, for
 * `enableCors({ allowedHeaders })`. Add the module's `header` where it has another name, and what the
 * application needs beside, such as `Authorization`.
 */
export const CORS_ALLOWED_HEADERS: string[] = [KEY_HEADER, IF_MATCH_HEADER, 'Content-Type'];

/**
 * Response headers that scripts of another origin see only when they are exposed, for
 * `enableCors({ exposedHeaders })`. The marker of a replay, the code of a refusal and `Retry-After` are
 * exposed where they are sent also without this; `ETag` (strategy `version`) and `Location` are not.
 */
export const CORS_EXPOSED_HEADERS: string[] = [
  REPLAYED_HEADER,
  ERROR_HEADER,
  RETRY_AFTER_HEADER,
  'ETag',
  'Location',
];
