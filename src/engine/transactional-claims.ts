import { AttemptCounter } from './attempt-counter.js';
import type { Asking, Claimed, ClaimSource } from './leased-claims.js';
import type { Refusing } from './store.js';
import { acquire, begin } from './transactional-asking.js';
import { TransactionalClaim, type TransactionalClaimSurroundings } from './transactional-claim.js';
import { rollBack } from './undoing.js';

/** The attempt that is running has not been seen by the database yet, or has just ended. */
const IN_FLIGHT: Refusing = { outcome: 'in-flight', leaseRemainingMs: 0 };

/**
 * Claims that last as long as a transaction. The lock on the record's row takes the place of a
 * lease.
 */
export class TransactionalClaims implements ClaimSource {
  constructor(private readonly around: TransactionalClaimSurroundings) {}

  claim(asking: Asking): Promise<Claimed | Refusing | undefined> {
    const { within } = asking.request;
    if (within instanceof TransactionalClaim) return this.join(within, asking);
    return asking.request.policy.maxAttempts === undefined ? this.open(asking) : this.count(asking);
  }

  /** Counts the attempt before its transaction begins, because its process may die. */
  private async count(asking: Asking): Promise<Claimed | Refusing | undefined> {
    const counter = await AttemptCounter.begin(this.around, asking);
    if (counter instanceof AttemptCounter) return this.counted(asking, counter);
    // The counter of an operation that has ended is about to go; the record has the answer.
    const isElsewhere = counter.outcome === 'in-flight' || counter.outcome === 'completed';
    return isElsewhere ? this.look(asking) : counter;
  }

  private async counted(
    asking: Asking,
    counter: AttemptCounter,
  ): Promise<Claimed | Refusing | undefined> {
    // The counter stands for the caller's share.
    const { caller: _, ...request } = asking.request;
    try {
      const result = await this.open({ ...asking, request }, counter);
      const hasEnded = result?.outcome === 'completed' || result?.outcome === 'held';
      if (hasEnded) await counter.end();
      else if (result?.outcome !== 'claimed') await counter.withdraw();
      return result;
    } catch (cause) {
      await counter.withdraw();
      throw cause;
    }
  }

  /** Another attempt is counted. The record may all the same have an answer. */
  private async look(asking: Asking): Promise<Refusing> {
    const transaction = await begin(this.around.calls, asking);
    try {
      const result = await acquire(this.around.calls, transaction, asking);
      return result.outcome === 'acquired' ? IN_FLIGHT : result;
    } finally {
      await rollBack(this.around.calls, transaction);
    }
  }

  /** Begins the transaction. */
  private async open(
    asking: Asking,
    counter?: AttemptCounter,
  ): Promise<Claimed | Refusing | undefined> {
    const transaction = await begin(this.around.calls, asking);
    // The connection took too long to get, and other calls wait for it.
    if (asking.request.isLeft?.() === true) {
      await rollBack(this.around.calls, transaction);
      return undefined;
    }
    try {
      const result = await acquire(this.around.calls, transaction, asking);
      if (result.outcome === 'acquired') {
        const claim = new TransactionalClaim(this.around, transaction, asking, result, counter);
        return { outcome: 'claimed', claim, takenOver: undefined };
      }
      await rollBack(this.around.calls, transaction);
      return result;
    } catch (cause) {
      void transaction.rollback();
      throw cause;
    }
  }

  /** Adds one more record to a transaction. If that fails, the owner rolls the transaction back. */
  private async join(within: TransactionalClaim, asking: Asking): Promise<Claimed | Refusing> {
    const result = await acquire(this.around.calls, within.transaction, asking);
    if (result.outcome !== 'acquired') return result;
    within.add(asking);
    return { outcome: 'claimed', claim: within, takenOver: undefined };
  }
}
