import type { Asking, Claimed, ClaimSource } from './claim-source.js';
import { rollBack } from './roll-back.js';
import type { Refusing } from './store.js';
import type { StoreTransaction, TransactionalStore } from './transaction.js';
import { TransactionalClaim, type TransactionalClaimSurroundings } from './transactional-claim.js';

/** Nothing outlives the transaction, so its claim needs no end of its own: ten years. */
const LEASE_MS = 10 * 365 * 24 * 60 * 60 * 1000;

/** Claims that live as long as a transaction: the lock of the record's row is the lease. */
export class TransactionalClaims implements ClaimSource {
  constructor(private readonly around: TransactionalClaimSurroundings) {}

  async claim(asking: Asking): Promise<Claimed | Refusing> {
    const { request, local, owner, lockWaitMs } = asking;
    const { id, fingerprint, policy } = request;
    const transaction = await this.begin(asking);
    const mustBeIssued = policy.refuseUnknown !== undefined;
    const { retentionMs } = policy;
    const acquire = { id, owner, fingerprint, leaseMs: LEASE_MS, retentionMs, mustBeIssued };
    try {
      const result = await this.around.calls.call(() => transaction.acquire(acquire), {
        waitMs: lockWaitMs,
      });
      if (result.outcome === 'acquired') {
        const claim = new TransactionalClaim(
          this.around,
          local,
          request,
          transaction,
          owner,
          result,
        );
        return { outcome: 'claimed', claim, takenOver: undefined };
      }
      await rollBack(this.around.calls, transaction);
      return result;
    } catch (cause) {
      void transaction.rollback();
      throw cause;
    }
  }

  private async begin({ request, lockWaitMs }: Asking): Promise<StoreTransaction> {
    const source = request.transaction?.source;
    return this.around.calls.call(
      (store) => (store as TransactionalStore).beginTransaction({ source, lockWaitMs }),
      // Nobody waits for it any more: the caller has been refused.
      { whenLate: (late) => void late.rollback() },
    );
  }
}
