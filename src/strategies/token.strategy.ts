import { randomUUID } from 'node:crypto';
import { Inject } from '@nestjs/common';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import type { Precondition } from '../engine/resource.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../options/idempotency.options.js';
import { TokenCarrier, tokenExpiry } from '../tokens/sealed-token.js';
import { isPurpose } from '../tokens/token-options-check.js';
import { tokenScope, TokenService } from '../tokens/token.service.js';
import { IdempotencyStrategy } from './strategy-registry.js';
import { REFUSED_OPTIONS, type TokenStrategyOptions } from '../options/strategy-options.js';
import type {
  IdempotencyStrategyContract,
  StrategyCall,
  StrategyContext,
  StrategyPlan,
} from './strategy.js';

/**
 * How far the clocks of processes may differ. The record is kept this much longer than the token.
 * Otherwise a signed token would run again, and a stored one would never run again after a failure.
 */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

const refuseUnknown = 'IDEMPOTENCY_TOKEN_INVALID';

/** Never met. If the last attempt failed, the record of an expired token could still be claimed. */
const EXPIRED: Precondition = { check: () => ({ code: refuseUnknown }) };

/**
 * The caller has a token from the server, which is good for one operation. The record of the
 * operation uses it up; it is never deleted. After a failed attempt it can be used again.
 *
 * Every invalid token takes the same path to the same answer, so nothing tells them apart.
 */
@IdempotencyStrategy('token')
export class TokenStrategy implements IdempotencyStrategyContract {
  readonly options = ['purpose'] as const;
  readonly withoutOptions = REFUSED_OPTIONS.token;
  private readonly carrier: TokenCarrier;

  constructor(
    @Inject(TokenService) private readonly tokens: TokenService,
    @Inject(MODULE_OPTIONS_TOKEN) { header }: IdempotencyModuleOptions,
  ) {
    this.carrier = new TokenCarrier(header ?? MODULE_DEFAULTS.header);
  }

  plan({ kind, options }: StrategyContext): StrategyPlan {
    if (kind === 'method') throw nothingToReadFrom();
    const { purpose } = options as TokenStrategyOptions;
    if (purpose !== undefined && !isPurpose(purpose)) throw noPurpose(purpose);
    if (options.scope !== undefined) throw scoped(options.scope);
    const { carrier, tokens } = this;
    return {
      key: {
        description: carrier.description,
        readsOnlyHead: false,
        coversContent: false,
        sentIn: carrier.sentIn(purpose),
        isNeverInvalid: true,
        read(call) {
          const sent = carrier.read(call);
          if (sent === undefined || tokens.isGenuine(sent, call, purpose ?? '')) return sent;
          return keyWithoutRecord();
        },
      },
      comparesContent: true,
      keepsReply: true,
      scope: tokenScope(purpose ?? ''),
      published: { unmet: [{ code: refuseUnknown }] },
      begin: (_call, key) => this.begin(tokenExpiry(key)),
    };
  }

  private begin(expiresAtMs: number | undefined): StrategyCall {
    if (expiresAtMs === undefined) return { refuseUnknown };
    const remainingMs = expiresAtMs - Date.now();
    if (remainingMs <= 0) return { refuseUnknown, precondition: EXPIRED };
    const keepForMs = remainingMs + CLOCK_TOLERANCE_MS;
    return this.tokens.isStored ? { refuseUnknown, keepForMs } : { keepForMs };
  }
}

/** Represents an invalid token: the store is asked all the same, and has no such record. */
function keyWithoutRecord(): string {
  return `no token: ${randomUUID()}`;
}

function nothingToReadFrom(): IdempotencyConfigurationError {
  return wrongOption(
    'strategy',
    'token',
    'a strategy whose key is in the arguments, because no request calls this method',
    "Put the decorator on the route that gets the token, or use { key: arg(0, 'orderNo') }.",
  );
}

function noPurpose(given: unknown): IdempotencyConfigurationError {
  return wrongOption(
    'purpose',
    given,
    'a string that is not empty',
    'Leave it out to use tokens without a purpose.',
  );
}

function scoped(given: string): IdempotencyConfigurationError {
  return wrongOption(
    'scope',
    given,
    'nothing',
    "Strategy 'token' does not take this option. Remove it from the handler and its class, and set a `purpose` instead.",
  );
}
