import { type Awaitable, chain } from './awaitable.js';
import type { Claim, Settlement } from './claim.js';
import { ForwardingClaim } from './forwarding-claim.js';
import type { OperationManager } from './transaction.js';

/**
 * Two claims for one run of the work. It is known by the outer one that keeps its reply; a lock
 * is there to exclude others, so the fencing token is the lock's.
 */
export class LayeredClaim extends ForwardingClaim {
  private bothSignals: AbortSignal | undefined;

  constructor(
    private readonly outer: Claim,
    private readonly within: Claim,
  ) {
    super(outer.keepsReply ? outer : within);
  }

  override get fencingToken(): number {
    const { outer, within } = this;
    return (outer.keepsReply && !within.keepsReply ? within : outer).fencingToken;
  }

  override get isRunning(): boolean {
    return this.outer.isRunning && this.within.isRunning;
  }

  override get signal(): AbortSignal {
    return (this.bothSignals ??= AbortSignal.any([this.outer.signal, this.within.signal]));
  }

  override get manager(): OperationManager | undefined {
    return this.within.manager ?? this.outer.manager;
  }

  override confirm(): Awaitable<boolean> {
    return chain(this.outer.confirm(), (isOurs) => isOurs && this.within.confirm());
  }

  override run<T>(work: () => T): T {
    return this.outer.run(() => this.within.run(work));
  }

  override setRetention(retentionMs: number): void {
    this.outer.setRetention(retentionMs);
    this.within.setRetention(retentionMs);
  }

  /** Work that is not committed yet is undone when a lock was lost: somebody else is at it. */
  override complete(reply: Uint8Array): Awaitable<Settlement> {
    if (this.manager !== undefined && this.signal.aborted)
      return chain(this.release(), () => ({ outcome: 'lost' }) as const);
    return this.settle(reply, (claim) => claim.complete(reply));
  }

  override fail(reply: Uint8Array): Awaitable<Settlement> {
    return this.settle(reply, (claim) => claim.fail(reply));
  }

  override release(): Awaitable<void> {
    return chain(this.within.release(), () => this.outer.release());
  }

  override hold(reason: string): Awaitable<Settlement> {
    return chain(this.within.hold(reason), () => this.outer.hold(reason));
  }

  /** From the inside out: what the inner one ended with is what the outer one has to tell. */
  private settle(
    reply: Uint8Array,
    settle: (claim: Claim) => Awaitable<Settlement>,
  ): Awaitable<Settlement> {
    return chain(settle(this.within), (inner) => {
      switch (inner.outcome) {
        case 'stored':
        case 'deferred':
          return settle(this.outer);
        case 'superseded':
          return chain(this.outer.complete(inner.reply), () => inner);
        case 'lost':
          // A lock that was lost does not undo what was done: others are told by the record.
          return this.within.keepsReply
            ? chain(this.outer.release(), () => inner)
            : chain(this.outer.complete(reply), () => inner);
        case 'undone':
          return chain(this.outer.release(), () => inner);
      }
    });
  }
}
