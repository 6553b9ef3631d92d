import { Inject, Injectable } from '@nestjs/common';
import { parseDuration } from '../engine/duration.js';
import { IdempotencyEngine } from '../engine/engine.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import {
  DEFAULTS,
  type IdempotencyModuleOptions,
  MODULE_DEFAULTS,
} from '../options/idempotency.options.js';
import type { Identifier, IdempotentCall, IncomingRequest } from '../keys/call.js';
import { directPrincipal, type ResolvedPrincipal, resolvePrincipal } from '../keys/principal.js';
import { type CredentialDigest, credentialDigests } from '../keys/credentials.js';
import { recordId } from '../keys/record-id.js';
import { TokenSeal } from './sealed-token.js';
import { TOKEN_DEFAULTS } from '../options/token-options.js';

/** For whom and for what a token is issued. */
export interface TokenRequest {
  /** Who may use the token. If absent, every caller without a principal and credentials may. */
  readonly principal?: Identifier;
  /** The `purpose` of the handlers that it is for; absent for handlers without one. */
  readonly purpose?: string;
}

/** A token, and what its holder needs to know. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
  /** The name of the header in which to send the token. */
  readonly header: string;
}

/** A stored token is genuine because it is on record. Its seal only keeps its parts together. */
const NO_SECRET = 'this is no secret';

/** Issues tokens for handlers with `strategy: 'token'`. */
@Injectable()
export class TokenService {
  /** False if a token is recorded only when it is first used. */
  readonly isStored: boolean;
  private readonly seal: TokenSeal;
  private readonly ttlMs: number;
  private readonly header: string;
  private readonly purposes: ReadonlySet<string>;
  private readonly principal: ResolvedPrincipal;
  private readonly credentials: CredentialDigest;
  private readonly retryAfterMs: number;
  private readonly problemBaseUrl: string | undefined;

  constructor(
    private readonly engine: IdempotencyEngine,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    const { mode, ttl, secrets = [NO_SECRET], purposes = [] } = options.tokens ?? {};
    this.isStored = (mode ?? TOKEN_DEFAULTS.mode) === 'stored';
    this.seal = new TokenSeal(secrets);
    this.ttlMs = parseDuration('tokens.ttl', ttl ?? TOKEN_DEFAULTS.ttl);
    this.header = options.header ?? MODULE_DEFAULTS.header;
    this.purposes = new Set(['', ...purposes]);
    this.principal = resolvePrincipal(options.principal);
    this.credentials = credentialDigests(
      options.credentialHeaders ?? MODULE_DEFAULTS.credentialHeaders,
    );
    this.retryAfterMs = parseDuration(
      'defaults.retryAfter',
      options.defaults?.retryAfter ?? DEFAULTS.retryAfter,
      { zero: true },
    );
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /**
   * Issues a token to the principal that your code names.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`, for stored tokens
   */
  async issue({ principal, purpose = '' }: TokenRequest = {}): Promise<IssuedToken> {
    const caller = directPrincipal(principal);
    return this.write(caller, tokenOwner(caller, undefined), purpose);
  }

  /**
   * Issues a token to the sender of a request: the module's `principal`, or else the holder of the
   * request's credentials. Call it after the guards have run.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_PURPOSE_UNKNOWN` for a purpose that is not
   *   in `tokens.purposes`, and the same as `issue()`
   */
  async issueTo(request: IncomingRequest, purpose: unknown = ''): Promise<IssuedToken> {
    const { problemBaseUrl } = this;
    if (typeof purpose !== 'string' || !this.purposes.has(purpose))
      throw new IdempotencyException('IDEMPOTENCY_PURPOSE_UNKNOWN', { problemBaseUrl });
    const call = { type: 'http', request, scope: tokenScope(purpose), principal: undefined };
    const principal = await this.principal(call);
    return this.write(principal, this.ownerOf({ ...call, principal }), purpose);
  }

  /**
   * True for a token that was issued to this caller for this purpose, expired or not. A stored
   * token must also be on record.
   */
  isGenuine(token: string, call: IdempotentCall, purpose: string): boolean {
    return this.seal.isGenuine(token, { purpose, owner: this.ownerOf(call) });
  }

  private ownerOf(call: IdempotentCall): string {
    return tokenOwner(call.principal, this.credentials(call));
  }

  private async write(
    principal: string | undefined,
    owner: string,
    purpose: string,
  ): Promise<IssuedToken> {
    const expiresAtMs = Date.now() + this.ttlMs;
    const token = this.seal.make(expiresAtMs, { purpose, owner });
    if (this.isStored) await this.store(recordId(tokenScope(purpose), principal, token));
    return { token, expiresAt: new Date(expiresAtMs), header: this.header };
  }

  private async store(id: string): Promise<void> {
    const { ttlMs, retryAfterMs, problemBaseUrl } = this;
    try {
      await this.engine.calls.begin('issue', id, (store) => store.issue({ id, ttlMs }));
    } catch (cause) {
      throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', {
        cause,
        detail: 'No token could be issued, because the store could not be reached. Retry later.',
        retryAfterMs,
        problemBaseUrl,
      });
    }
  }
}

/** The namespace of the tokens for a purpose, shared by all handlers that take them. */
export function tokenScope(purpose: string): string {
  return `token:${purpose}`;
}

/** A known caller, the holder of certain credentials, or anybody who has neither. */
function tokenOwner(principal: string | undefined, credentials: string | undefined): string {
  if (principal !== undefined) return `principal ${principal}`;
  return credentials === undefined ? '' : `credentials ${credentials}`;
}
