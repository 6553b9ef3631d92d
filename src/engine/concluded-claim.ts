import type { Claim, Settlement } from './claim.js';
import { ForwardingClaim } from './forwarding-claim.js';
import type { Precondition } from './resource.js';

/** A claim whose preconditions have a last word when the work has succeeded. */
export class ConcludedClaim extends ForwardingClaim {
  constructor(
    inner: Claim,
    private readonly preconditions: readonly Precondition[],
  ) {
    super(inner);
  }

  override async complete(reply: Uint8Array): Promise<Settlement> {
    try {
      for (const precondition of this.preconditions)
        await this.run(() => precondition.conclude?.());
    } catch (cause) {
      await this.release();
      return { outcome: 'undone', cause };
    }
    return this.inner.complete(reply);
  }
}
