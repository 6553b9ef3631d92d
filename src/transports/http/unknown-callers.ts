import { Logger } from '@nestjs/common';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { IdempotentCall } from '../../keys/call.js';
import type { CredentialDigest } from '../../keys/credentials.js';

const logger = new Logger('Idempotency');

/**
 * Warns, once for each handler, if a reply is kept for a caller that cannot be told apart from
 * others: anybody who repeats key and content gets it. Does not warn if the application sets
 * `principal`, even if that returns nobody.
 */
export class UnknownCallers {
  private readonly told = new WeakSet<ProtectedHandler>();

  constructor(private readonly credentials: CredentialDigest) {}

  notice(call: IdempotentCall, handler: ProtectedHandler): void {
    if (!handler.isPrincipalAssumed || this.told.has(handler)) return;
    const keeps = handler.layers.some(
      ({ policy, perPrincipal, key }) => policy.keepsReply && perPrincipal && !key.tellsCallers,
    );
    if (!keeps || this.credentials(call) !== undefined) return;
    this.told.add(handler);
    logger.warn(
      `${handler.scope} keeps replies for callers that cannot be told apart: a request came without request.user and without credentials. Anybody who sends the same key and content gets the reply. Set the option principal, or name the header that tells callers apart in credentialHeaders. If everybody may have the reply, set principal: () => undefined.`,
    );
  }
}
