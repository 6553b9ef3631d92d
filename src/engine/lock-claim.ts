import { attempt, type Awaitable, Failure } from './awaitable.js';
import type { Claim, Settlement } from './claim.js';
import type { Clock } from './clock.js';
import { type EventSink, type OwnersEvent, subjectOf } from './events.js';
import { outside, settleLater } from './lease.js';
import { within } from './leased-lock.js';
import type { HeldLock } from './lock-service.js';
import type { OperationRequest } from './operation.js';
import type { Steps } from './store.js';

const NO_STEPS: Steps = new Map();
const STORED: Settlement = { outcome: 'stored' };
const LOST: Settlement = { outcome: 'lost' };

/** For so long a lock is tried to be released while its service does not answer: a day. */
const GIVE_UP_AFTER_MS = 24 * 60 * 60_000;

/** What the claim of a lock needs around it. */
export interface LockSurroundings {
  readonly clock: Clock;
  readonly events: EventSink;
  readonly calls: {
    /** How long the service may take for any answer, in milliseconds. */
    readonly timeoutMs: number;
  };
  /** Registers background work, so that a shutdown can wait for it. */
  inBackground(work: Promise<void>): void;
}

/**
 * The holder's side of a lock of a lock service. However its operation ends, the lock is released and
 * nothing is recorded.
 */
export class LockClaim implements Claim {
  readonly attempt = 1;
  readonly ifFails = undefined;
  readonly steps = NO_STEPS;
  readonly keepsReply = false;
  readonly id: string;
  readonly fencingToken: number;
  isRunning = true;
  private handlerStartedAtMs: number | undefined;
  private readonly subject: Pick<OperationRequest, 'id' | 'scope' | 'policy'>;

  /** @param leave lets the next call of this process ask for the lock */
  constructor(
    private readonly around: LockSurroundings,
    { id, scope, policy }: OperationRequest,
    private readonly held: HeldLock,
    private readonly leave: () => void,
  ) {
    this.id = id;
    this.fencingToken = held.fencingToken;
    this.subject = { id, scope, policy };
    held.signal.addEventListener('abort', () => {
      if (this.isRunning) this.emit({ type: 'lease-lost' });
    });
  }

  get isLost(): boolean {
    return this.held.isLost;
  }

  get signal(): AbortSignal {
    return this.held.signal;
  }

  confirm(): Awaitable<boolean> {
    return this.held.confirm();
  }

  handOver(): void {
    this.handlerStartedAtMs = this.around.clock.now();
  }

  run<T>(work: () => T): T {
    return work();
  }

  setTtl(): void {
    // Nothing is kept.
  }

  saveStep(): boolean {
    return !this.isLost;
  }

  async complete(): Promise<Settlement> {
    await this.release();
    return this.isLost ? LOST : STORED;
  }

  fail(): Promise<Settlement> {
    return this.complete();
  }

  hold(): Promise<Settlement> {
    return this.complete();
  }

  withdraw(): Promise<void> {
    return this.release();
  }

  giveBack(): Promise<void> {
    return this.release();
  }

  async takeBack(): Promise<void> {
    // Nothing is on record.
  }

  async release(): Promise<void> {
    if (!this.isRunning) return;
    this.isRunning = false;
    const { clock } = this.around;
    if (this.handlerStartedAtMs !== undefined)
      this.emit({ type: 'executed', durationMs: clock.now() - this.handlerStartedAtMs });
    const released = await this.tryToRelease();
    if (!(released instanceof Failure)) return this.released(released);
    // The lock stays ours meanwhile, so nobody of this process asks for it.
    const settled = (late: boolean): void => this.released(late);
    const again = (): Awaitable<boolean | Failure> => this.tryToRelease();
    const giveUp = (): void => this.leave();
    outside(() =>
      this.around.inBackground(settleLater(clock, GIVE_UP_AFTER_MS, again, settled, giveUp)),
    );
  }

  private async tryToRelease(): Promise<boolean | Failure> {
    const released = await releaseWithin(this.around, this.held);
    if (released instanceof Failure)
      this.emit({ type: 'completion-failed', verb: 'release', cause: released.cause });
    return released;
  }

  private released(isOurs: boolean): void {
    if (isOurs) this.emit({ type: 'released' });
    this.leave();
  }

  private emit(facts: OwnersEvent): void {
    const { events } = this.around;
    if (events.hasListeners)
      events.emit({ ...facts, ...subjectOf(this.subject), attempt: this.attempt });
  }
}

/** Releases a lock that nobody will use, however long that takes. */
export async function giveUpLock(around: LockSurroundings, held: HeldLock): Promise<void> {
  const release = (): Awaitable<boolean | Failure> => releaseWithin(around, held);
  if ((await release()) instanceof Failure)
    await settleLater(around.clock, GIVE_UP_AFTER_MS, release, ignored, ignored);
}

function releaseWithin(
  { clock, calls }: LockSurroundings,
  held: HeldLock,
): Awaitable<boolean | Failure> {
  return attempt(() => within(clock, calls.timeoutMs, Promise.resolve(held.release())));
}

function ignored(): void {
  // Nobody waits for it.
}
