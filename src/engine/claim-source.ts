import type { Awaitable } from './awaitable.js';
import type { Claim } from './claim.js';
import type { LeasedClaim } from './leased-claim.js';
import type { LocalCall } from './waiting.js';
import type { OperationRequest } from './operation.js';
import type { Refusing } from './store.js';

/** A call that asks for a record, and what the store will know it by. */
export interface Asking {
  readonly request: OperationRequest;
  readonly local: LocalCall;
  readonly owner: string;
  readonly askedAtMs: number;
  /** How long the store itself may wait for the present owner, in milliseconds. */
  readonly lockWaitMs: number;
}

/** The record is ours. */
export interface Claimed {
  readonly outcome: 'claimed';
  readonly claim: Claim;
  /** The same claim, when the owner before it fell silent: somebody may have to be asked. */
  readonly takenOver: LeasedClaim | undefined;
}

/** One way of owning a record: by a lease, or by the transaction of the work. */
export interface ClaimSource {
  /** @throws {@link StoreUnavailableError} */
  claim(asking: Asking): Awaitable<Claimed | Refusing>;
}
