import { type Awaitable, isPending } from './awaitable.js';
import type { Claim } from './claim.js';
import { LeasedClaim, type LeasedClaimSurroundings } from './leased-claim.js';
import type { OperationRequest } from './operation.js';
import { giveBack } from './owned-record.js';
import type { Acquired, AcquireResult, Refusing } from './store.js';
import { StoreNotAskedError, StoreUnavailableError } from './store-calls.js';
import type { LocalCall } from './waiting.js';

/** A call that asks for a record, and the owner's name that it uses. */
export interface Asking {
  readonly request: OperationRequest;
  readonly local: LocalCall;
  readonly owner: string;
  readonly askedAtMs: number;
}

/** The record is ours. */
export interface Claimed {
  readonly outcome: 'claimed';
  readonly claim: Claim;
  /**
   * The same claim, if the previous owner stopped renewing its lease: then `recover` may have to be
   * asked.
   */
  readonly takenOver: LeasedClaim | undefined;
}

/** One way to own a record: with a lease, or with the transaction of the work. */
export interface ClaimSource {
  /**
   * `undefined` for a call that nobody waits for any more. Then nothing is claimed.
   *
   * @throws {@link StoreUnavailableError}
   */
  claim(asking: Asking): Awaitable<Claimed | Refusing | undefined>;
}

/** Claims that last as long as their owner renews them. */
export class LeasedClaims implements ClaimSource {
  constructor(private readonly around: LeasedClaimSurroundings) {}

  claim(asking: Asking): Awaitable<Claimed | Refusing> {
    const { request, owner } = asking;
    const { id, fingerprint, policy, scope, label } = request;
    const { leaseMs, ttlMs } = policy;
    const mustBeIssued = request.refuseUnknown !== undefined;
    let result: Awaitable<AcquireResult>;
    try {
      result = this.around.calls.acquire(
        { id, owner, fingerprint, leaseMs, ttlMs, scope, label, mustBeIssued, ...request.caller },
        {
          // An answer that comes later is useless: the lease may have expired before anything
          // began.
          withinMs: leaseMs,
          // Nobody waits for this claim any more: the caller has been refused.
          whenLate: (late) => {
            const claimed = claimedBy(late);
            if (claimed !== undefined) this.giveBack(asking, claimed);
          },
        },
      );
    } catch (cause) {
      return this.failed(asking, cause);
    }
    return isPending(result)
      ? Promise.resolve(result).then(
          (answer) => this.answered(asking, answer),
          (cause: unknown) => this.failed(asking, cause),
        )
      : this.answered(asking, result);
  }

  private answered(asking: Asking, result: AcquireResult): Claimed | Refusing {
    if (result.outcome !== 'acquired') {
      const claimed = claimedBy(result);
      if (claimed !== undefined) this.giveBack(asking, claimed);
      return result;
    }
    const { request, local, owner, askedAtMs } = asking;
    if (this.around.clock.now() - askedAtMs >= request.policy.leaseMs) {
      // The process was paused before it read the answer, so another owner may be running.
      this.giveBack(asking, result);
      throw new StoreUnavailableError('The claim had expired before its answer was read.');
    }
    const claim = new LeasedClaim(this.around, local, request, owner, result, askedAtMs);
    return { outcome: 'claimed', claim, takenOver: result.abandoned ? claim : undefined };
  }

  private failed(asking: Asking, cause: unknown): never {
    // The claim may have been written although the answer was lost.
    if (!(cause instanceof StoreNotAskedError)) this.giveBack(asking, undefined);
    throw cause;
  }

  private giveBack({ request, owner }: Asking, acquired: Acquired | undefined): void {
    this.around.inBackground(giveBack(this.around.calls, request, owner, acquired));
  }
}

/** The claim in an answer, whether it can be used or not. */
function claimedBy(result: AcquireResult): Acquired | undefined {
  if (result.outcome === 'unreadable') return result.claimed;
  return result.outcome === 'acquired' ? result : undefined;
}
