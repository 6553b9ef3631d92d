import type { CanActivate, Type } from '@nestjs/common';
import type { Duration } from '../engine/duration.js';

/** How tokens are made, and what for. */
export interface TokenOptions {
  /**
   * `stored`: every token is on record from the moment it is issued. `signed`: a token is on record
   * once it is used, and proves itself by a signature until then.
   * @default 'stored'
   */
  readonly mode?: 'stored' | 'signed';
  /**
   * What `mode: 'signed'` signs with, at least 32 bytes each. The first one signs, all of them
   * verify: put a new one in front, and remove the old one after `ttl`.
   */
  readonly secrets?: readonly (string | Uint8Array)[];
  /**
   * How long a token may be used after it was issued.
   * @default '1h'
   */
  readonly ttl?: Duration;
  /**
   * What a client may ask for a token for, beside one without a purpose.
   * @default none
   */
  readonly purposes?: readonly string[];
}

/** The route at which clients ask for tokens. */
export interface TokenControllerOptions {
  /** @default '/idempotency/tokens' */
  readonly path?: string;
  /**
   * Who may ask. What a guard class injects comes from global modules and from `imports`.
   * @default the application's global guards
   */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[];
}

/** The one table of defaults for tokens. */
export const TOKEN_DEFAULTS = {
  mode: 'stored',
  ttl: '1h',
} as const satisfies TokenOptions;

/** The one table of defaults for their route. */
export const TOKEN_CONTROLLER_DEFAULTS = {
  path: '/idempotency/tokens',
} as const satisfies TokenControllerOptions;

/** HMAC-SHA-256 gains nothing by longer keys, and loses by shorter ones (RFC 2104, section 3). */
export const MIN_SECRET_BYTES = 32;
