import { type Awaitable, chain } from './awaitable.js';
import type { Settlement } from './claim.js';
import { ForwardingClaim } from './forwarding-claim.js';
import type { Steps } from './store.js';

const NO_STEPS: Steps = new Map();

/** Mutual exclusion only: whatever the end is, the record is free for the next one. */
export class LockClaim extends ForwardingClaim {
  override get keepsReply(): boolean {
    return false;
  }

  /** Every holder is the first: what those before it did is not its concern. */
  override get attempt(): number {
    return 1;
  }

  override get steps(): Steps {
    return NO_STEPS;
  }

  override saveStep(): boolean {
    return !this.signal.aborted;
  }

  override setRetention(): void {}

  /** `lost`: somebody else may have worked at the same time. */
  override complete(): Awaitable<Settlement> {
    return chain(this.release(), () => ({ outcome: this.signal.aborted ? 'lost' : 'stored' }));
  }

  override fail(): Awaitable<Settlement> {
    return this.complete();
  }

  override hold(): Awaitable<Settlement> {
    return this.complete();
  }
}
