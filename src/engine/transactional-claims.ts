import type { Asking, Claimed, ClaimSource } from './claim-source.js';
import { rollBack } from './roll-back.js';
import type { AcquireResult, Refusing } from './store.js';
import type { StoreTransaction, TransactionalStore } from './transaction.js';
import {
  acquireOf,
  TransactionalClaim,
  type TransactionalClaimSurroundings,
} from './transactional-claim.js';

/** Claims that live as long as a transaction: the lock of the record's row is the lease. */
export class TransactionalClaims implements ClaimSource {
  constructor(private readonly around: TransactionalClaimSurroundings) {}

  claim(asking: Asking): Promise<Claimed | Refusing> {
    const { within } = asking.request;
    return within instanceof TransactionalClaim ? this.join(within, asking) : this.open(asking);
  }

  /** Begins the transaction. */
  private async open(asking: Asking): Promise<Claimed | Refusing> {
    const transaction = await this.begin(asking);
    try {
      const result = await this.acquire(transaction, asking);
      if (result.outcome === 'acquired') {
        const claim = new TransactionalClaim(this.around, transaction, asking, result);
        return { outcome: 'claimed', claim, takenOver: undefined };
      }
      await rollBack(this.around.calls, transaction);
      return result;
    } catch (cause) {
      void transaction.rollback();
      throw cause;
    }
  }

  /** Puts one more record into a transaction. Its owner rolls it back if that fails. */
  private async join(within: TransactionalClaim, asking: Asking): Promise<Claimed | Refusing> {
    const result = await this.acquire(within.transaction, asking);
    if (result.outcome !== 'acquired') return result;
    within.add(asking);
    return { outcome: 'claimed', claim: within, takenOver: undefined };
  }

  private async acquire(transaction: StoreTransaction, asking: Asking): Promise<AcquireResult> {
    return this.around.calls.call('acquire', () => transaction.acquire(acquireOf(asking)), {
      waitMs: asking.lockWaitMs,
    });
  }

  private async begin({ request, lockWaitMs }: Asking): Promise<StoreTransaction> {
    const source = request.transaction?.source;
    return this.around.calls.call(
      'begin',
      (store) => (store as TransactionalStore).beginTransaction({ source, lockWaitMs }),
      // Nobody waits for it any more: the caller has been refused.
      { whenLate: (late) => void late.rollback() },
    );
  }
}
