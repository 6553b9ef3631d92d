import type { CanActivate, Type } from '@nestjs/common';
import type { Duration } from '../engine/duration.js';

/** How, and for which purposes, tokens are issued. */
export interface TokenOptions {
  /**
   * `stored`: every token is recorded when it is issued. `signed`: a token is recorded only when it
   * is used; until then, its signature shows that it is genuine.
   * @default 'stored'
   */
  readonly mode?: 'stored' | 'signed';
  /**
   * What `mode: 'signed'` signs with, at least 32 bytes each. The first one signs, all of them
   * verify. To rotate, put a new one first, and remove the old one after `ttl`.
   */
  readonly secrets?: readonly (string | Uint8Array)[];
  /**
   * How long a token may be used after it was issued.
   * @default '1h'
   */
  readonly ttl?: Duration;
  /**
   * The purposes for which a client may ask for a token. It may always ask for one without a
   * purpose.
   * @default none
   */
  readonly purposes?: readonly string[];
}

/** The route where clients ask for tokens. */
export interface TokenControllerOptions {
  /** @default '/idempotency/tokens' */
  readonly path?: string;
  /**
   * Who may ask. Guard classes can inject providers of global modules and of `imports`.
   * @default the application's global guards
   */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[];
}

/** The defaults for tokens. */
export const TOKEN_DEFAULTS = {
  mode: 'stored',
  ttl: '1h',
} as const satisfies TokenOptions;

/** The defaults for their route. */
export const TOKEN_CONTROLLER_DEFAULTS = {
  path: '/idempotency/tokens',
} as const satisfies TokenControllerOptions;

/**
 * For HMAC-SHA-256, longer keys add no security and shorter ones reduce it (RFC 2104, section 3).
 */
export const MIN_SECRET_BYTES = 32;
