import type { Claim, Settlement } from './claim.js';
import { ForwardingClaim } from './forwarding-claim.js';
import type { OperationManager } from './transaction.js';
import type { WorkTransaction } from './resource.js';

/**
 * A claim whose work has a transaction of its own, that ends before the record is settled. A
 * process that dies between the two leaves work that is done and no reply on record.
 */
export class WorkClaim extends ForwardingClaim {
  constructor(
    inner: Claim,
    private readonly transaction: WorkTransaction,
  ) {
    super(inner);
  }

  override get manager(): OperationManager | undefined {
    return this.transaction.manager;
  }

  override run<T>(work: () => T): T {
    return this.inner.run(() => this.transaction.run(work));
  }

  override async complete(reply: Uint8Array): Promise<Settlement> {
    if (this.signal.aborted) {
      await this.release();
      return { outcome: 'lost' };
    }
    try {
      await this.transaction.commit();
    } catch (cause) {
      await this.inner.release();
      return { outcome: 'undone', cause };
    }
    return this.inner.complete(reply);
  }

  override async fail(reply: Uint8Array): Promise<Settlement> {
    await this.transaction.rollback();
    return this.inner.fail(reply);
  }

  override async release(): Promise<void> {
    await this.transaction.rollback();
    await this.inner.release();
  }

  override async hold(reason: string): Promise<Settlement> {
    await this.transaction.rollback();
    return this.inner.hold(reason);
  }
}
