import type { Claim } from './claim.js';
import { subjectOf } from './events.js';
import type { LeasedClaim, LeasedClaimSurroundings } from './leased-claim.js';
import { LeasedClaims } from './leased-claims.js';
import type { OperationRequest } from './operation.js';
import { newOwner } from './owned-record.js';
import { withoutEnd } from './story.js';
import { LocalCall } from './waiting.js';

/** What became of an abandoned operation. */
export type AbandonedOutcome = 'replied' | 'released' | 'held';

/**
 * Takes over operations whose owner stopped renewing its lease, although no call waits for them: asks
 * what was done, and settles them. It never runs a handler.
 */
export class AbandonedOperations {
  private readonly claims: LeasedClaims;

  constructor(private readonly around: LeasedClaimSurroundings) {
    this.claims = new LeasedClaims(around);
  }

  /**
   * Settles one operation; `undefined` if it is not abandoned any more.
   *
   * @param request with `refuseUnknown`, so that no record is made
   * @throws what `recover` throws. The operation is then abandoned again, for a retry to ask
   */
  async settle(request: OperationRequest): Promise<AbandonedOutcome | undefined> {
    const owner = newOwner();
    const local = new LocalCall(request.fingerprint);
    const askedAtMs = this.around.clock.now();
    const answer = await this.claims.claim({ request, local, owner, askedAtMs });
    if (answer.outcome !== 'claimed') return undefined;
    const { claim, takenOver } = answer;
    if (takenOver === undefined) {
      // A retry has released it meanwhile. What it left behind stays.
      await claim.withdraw();
      return undefined;
    }
    this.tell('taken-over', request, claim);
    const { maxAttempts } = request.policy;
    if (maxAttempts !== undefined && claim.attempt > maxAttempts.times) {
      this.tell('exhausted', request, claim);
      if (maxAttempts.afterwards !== 'reject')
        return this.hold(claim, withoutEnd(maxAttempts.times));
      await claim.withdraw();
      return 'released';
    }
    return this.ask(request, takenOver, owner);
  }

  private async ask(
    request: OperationRequest,
    claim: LeasedClaim,
    owner: string,
  ): Promise<AbandonedOutcome | undefined> {
    const { attempt, steps } = claim;
    let decision;
    try {
      decision = (await request.recover?.({ attempt, steps })) ?? request.policy.onAbandoned;
    } catch (error) {
      claim.abandon();
      await this.endLease(request, owner);
      throw error;
    }
    if (decision === 'hold') return this.hold(claim, 'abandoned');
    if (decision === 'rerun') {
      if (claim.isLost) return undefined;
      // The attempt that died counts. This one ran nothing.
      await claim.withdraw();
      return 'released';
    }
    const { outcome } = await claim.complete(decision);
    return outcome === 'lost' || outcome === 'superseded' ? undefined : 'replied';
  }

  private async hold(claim: Claim, reason: string): Promise<AbandonedOutcome | undefined> {
    const { outcome } = await claim.hold(reason);
    return outcome === 'lost' || outcome === 'superseded' ? undefined : 'held';
  }

  /** So that a retry need not wait for the end of a lease that nobody uses. */
  private async endLease({ id, policy }: OperationRequest, owner: string): Promise<void> {
    const { ttlMs } = policy;
    try {
      await this.around.calls.call('extend', (store) =>
        store.extend({ id, owner, leaseMs: 1, ttlMs }),
      );
    } catch {
      // It ends by itself.
    }
  }

  private tell(type: 'taken-over' | 'exhausted', request: OperationRequest, claim: Claim): void {
    const { events } = this.around;
    if (!events.hasListeners) return;
    const { attempt, fencingToken } = claim;
    const subject = subjectOf(request);
    events.emit(
      type === 'exhausted'
        ? { type, ...subject, attempt }
        : { type, ...subject, attempt, fencingToken },
    );
  }
}
