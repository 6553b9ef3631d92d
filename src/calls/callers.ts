import { Inject, Injectable } from '@nestjs/common';
import type { CountedCaller } from '../engine/operation.js';
import { type CredentialDigest, credentialDigests } from '../keys/credentials.js';
import type { IdempotentCall } from '../keys/call.js';
import { sha256 } from '../keys/record-id.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../options/idempotency.options.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';

const MINUTE_MS = 60_000;

/** Calls of these kinds come from outside. Those with an unknown caller are counted together. */
const FROM_OUTSIDE: ReadonlySet<string> = new Set(['http', 'graphql', 'ws']);

/** Decides who counts as one caller, if the application limits callers. */
@Injectable()
export class Callers {
  private readonly limits: CountedCaller['limits'] | undefined;
  private readonly credentials: CredentialDigest;

  constructor(@Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions) {
    const { limits, credentialHeaders = MODULE_DEFAULTS.credentialHeaders } = options;
    this.credentials = credentialDigests(credentialHeaders);
    this.limits = limits && {
      inFlight: limits.inFlight,
      newKeys: limits.newKeysPerMinute,
      windowMs: MINUTE_MS,
    };
  }

  /** `undefined` if nothing is limited, and for a call that belongs to nobody. */
  callerOf(call: IdempotentCall): CountedCaller | undefined {
    if (this.limits === undefined) return undefined;
    const { principal } = call;
    if (principal !== undefined) return this.known(principal);
    if (!FROM_OUTSIDE.has(call.type)) return undefined;
    return this.counted(['credentials', this.credentials(call) ?? '']);
  }

  /** Like {@link callerOf}, for code that names its caller. */
  known(principal: string | undefined): CountedCaller | undefined {
    return principal === undefined ? undefined : this.counted(['principal', principal]);
  }

  private counted(name: readonly [kind: string, text: string]): CountedCaller | undefined {
    const { limits } = this;
    // JSON distinguishes the kinds, and escapes lone surrogates.
    return limits && { bucket: sha256(JSON.stringify(name)), limits };
  }
}
