import type { CancelTimer, Clock } from './clock.js';
import type { EventSink } from './events.js';
import type { LocalCall } from './local-call.js';
import type { OperationRequest } from './operation.js';
import { type Awaitable, isPending, chain } from './awaitable.js';
import type { Claim, Settlement } from './claim.js';
import type { Acquired, Steps } from './store.js';
import type { StoreCalls } from './store-calls.js';
import { settleLater } from './settle-later.js';

const STORED: Settlement = { outcome: 'stored' };
const DEFERRED: Settlement = { outcome: 'deferred' };
const LOST: Settlement = { outcome: 'lost' };

/** What a claim needs of the engine. */
export interface LeasedClaimSurroundings {
  readonly calls: StoreCalls;
  readonly clock: Clock;
  readonly events: EventSink;
  newOwner(): string;
  /** The claim ended: its entry among the calls of this process goes. */
  closed(id: string, local: LocalCall): void;
  /** Keeps background work known, so that a shutdown can wait for it. */
  inBackground(work: Promise<void>): void;
}

/** The owner's side of an operation: keeps the lease alive, then settles the record once. */
export class LeasedClaim implements Claim {
  readonly attempt: number;
  readonly fencingToken: number;
  readonly steps: Steps;
  private owner: string;
  private readonly claimedAtMs: number;
  private renewedAtMs: number;
  private cancelRenewal: CancelTimer | undefined;
  private abortController: AbortController | undefined;
  private phase: 'running' | 'settling' | 'ended' = 'running';
  private lost = false;
  private retentionMs: number;
  private readonly unsavedSteps = new Map<string, Uint8Array>();

  constructor(
    private readonly around: LeasedClaimSurroundings,
    private readonly local: LocalCall,
    readonly request: OperationRequest,
    owner: string,
    acquired: Acquired,
  ) {
    this.owner = owner;
    this.attempt = acquired.attempt;
    this.fencingToken = acquired.fencingToken;
    this.steps = acquired.steps;
    this.retentionMs = request.policy.retentionMs;
    this.claimedAtMs = this.renewedAtMs = around.clock.now();
    this.scheduleRenewal();
  }

  get id(): string {
    return this.request.id;
  }

  get isRunning(): boolean {
    return this.phase === 'running';
  }

  get signal(): AbortSignal {
    this.abortController ??= new AbortController();
    if (this.lost) this.abortController.abort();
    return this.abortController.signal;
  }

  setRetention(retentionMs: number): void {
    this.retentionMs = retentionMs;
  }

  complete(reply: Uint8Array): Awaitable<Settlement> {
    this.startSettling();
    return chain(
      this.attemptTo('complete', () => this.record(reply)),
      (settlement) => {
        if (settlement !== 'failed') return this.recorded(settlement, reply);
        // Duplicates in this process are answered from memory until the store has it.
        this.local.reply(reply);
        const record = (): Awaitable<Settlement | 'failed'> =>
          this.attemptTo('complete', () => this.record(reply));
        this.settleInBackground(record, (late) => void this.recorded(late, reply));
        return DEFERRED;
      },
    );
  }

  release(): Awaitable<void> {
    this.startSettling();
    const release = (): Awaitable<boolean | 'failed'> =>
      this.attemptTo('release', () => this.writeRelease());
    const released = (done: boolean): void => {
      if (done) this.emit('released');
      this.close();
    };
    return chain(release(), (done) => {
      // Whoever waits in this process asks the store again.
      this.local.end();
      if (done === 'failed') this.settleInBackground(release, released);
      else released(done);
    });
  }

  hold(reason: string): Awaitable<Settlement> {
    this.startSettling();
    const { id, scope } = this.request;
    const hold = (): Awaitable<boolean | 'failed'> =>
      this.attemptTo('hold', () =>
        this.around.calls.call((store) => store.hold({ id, owner: this.owner, reason })),
      );
    const held = (done: boolean): void => {
      if (done && this.around.events.hasListeners)
        this.around.events.emit({ type: 'held', scope, id, attempt: this.attempt, reason });
      this.close();
    };
    return chain(hold(), (done) => {
      this.local.end();
      if (done === 'failed') {
        this.settleInBackground(hold, held);
        return DEFERRED;
      }
      held(done);
      return done ? STORED : LOST;
    });
  }

  saveStep(name: string, value: Uint8Array): Awaitable<boolean> {
    const saved = attempt(() => this.writeStep(name, value));
    return chain(saved, (result) => {
      if (!(result instanceof Failure)) return result;
      this.unsavedSteps.set(name, value);
      if (this.around.events.hasListeners) {
        const { id, scope } = this.request;
        this.around.events.emit({
          type: 'step-not-saved',
          scope,
          id,
          attempt: this.attempt,
          cause: result.cause,
        });
      }
      return true;
    });
  }

  /**
   * Lets the lease run out: the handler ended, but no reply will ever come. What it did is not
   * known, and the next call takes over as from a crashed owner.
   */
  abandon(): void {
    this.phase = 'ended';
    this.local.end();
    this.close();
  }

  private scheduleRenewal(): void {
    this.cancelRenewal = this.around.clock.after(
      this.request.policy.leaseMs / 3,
      () => void this.renew(),
    );
  }

  private async renew(): Promise<void> {
    const { clock, calls } = this.around;
    const { id, policy } = this.request;
    const askedAtMs = clock.now();
    const { leaseMs } = policy;
    const result = await attempt(() =>
      calls.call((store) =>
        store.extend({ id, owner: this.owner, leaseMs, retentionMs: this.retentionMs }),
      ),
    );
    if (this.phase === 'ended') return;
    if (result === true) this.renewedAtMs = askedAtMs;
    // A store that is down since a whole lease has let the claim expire.
    if (result === false || clock.now() - this.renewedAtMs >= leaseMs) this.loseLease();
    else this.scheduleRenewal();
  }

  private loseLease(): void {
    if (this.lost) return;
    this.lost = true;
    this.abortController?.abort();
    this.emit('lease-lost');
    // While it settles, the settlement decides what duplicates in this process get.
    if (this.phase === 'running') {
      this.local.end();
      this.around.closed(this.request.id, this.local);
    }
  }

  private startSettling(): void {
    this.phase = 'settling';
    if (this.around.events.hasListeners) {
      const { id, scope } = this.request;
      const durationMs = this.around.clock.now() - this.claimedAtMs;
      this.around.events.emit({ type: 'executed', scope, id, attempt: this.attempt, durationMs });
    }
  }

  private writeReply(reply: Uint8Array): Awaitable<boolean> {
    const { retentionMs, owner } = this;
    return this.around.calls.call((store) =>
      store.complete({ id: this.request.id, owner, reply, retentionMs }),
    );
  }

  private writeStep(name: string, value: Uint8Array): Awaitable<boolean> {
    const { owner } = this;
    return this.around.calls.call((store) =>
      store.saveStep({ id: this.request.id, owner, name, value }),
    );
  }

  private writeRelease(): Awaitable<boolean> {
    if (this.unsavedSteps.size > 0) return this.saveStepsThenRelease();
    const { retentionMs, owner } = this;
    return this.around.calls.call((store) =>
      store.release({ id: this.request.id, owner, retentionMs }),
    );
  }

  private async saveStepsThenRelease(): Promise<boolean> {
    for (const [name, value] of this.unsavedSteps) {
      if (!(await this.writeStep(name, value))) return false;
      this.unsavedSteps.delete(name);
    }
    return this.writeRelease();
  }

  private record(reply: Uint8Array): Awaitable<Settlement> {
    return chain(this.writeReply(reply), (written) => (written ? STORED : this.reclaim(reply)));
  }

  /**
   * The lease ran out before the reply was there. If nobody took over, the record is claimed
   * once more just to record what was done; if somebody finished, theirs is the reply.
   */
  private async reclaim(reply: Uint8Array): Promise<Settlement> {
    const { id, fingerprint, policy } = this.request;
    const { leaseMs } = policy;
    this.loseLease();
    const owner = this.around.newOwner();
    const request = { id, owner, fingerprint, leaseMs, retentionMs: this.retentionMs };
    const result = await this.around.calls.call((store) => store.acquire(request));
    if (result.outcome === 'completed') return { outcome: 'superseded', reply: result.reply };
    if (result.outcome !== 'acquired') return LOST;
    this.owner = owner;
    return (await this.writeReply(reply)) ? STORED : LOST;
  }

  private recorded(settlement: Settlement, reply: Uint8Array): Settlement {
    if (settlement.outcome === 'stored') {
      this.local.reply(reply);
      this.emit('stored');
    } else {
      this.local.end();
    }
    this.close();
    return settlement;
  }

  /** One try of a settling verb: what it answered, or `failed` after having said so. */
  private attemptTo<T>(
    verb: 'complete' | 'release' | 'hold',
    run: () => Awaitable<T>,
  ): Awaitable<T | 'failed'> {
    return chain(attempt(run), (result) => {
      if (!(result instanceof Failure)) return result;
      if (this.around.events.hasListeners) {
        const { id, scope } = this.request;
        const { cause } = result;
        this.around.events.emit({
          type: 'completion-failed',
          scope,
          id,
          attempt: this.attempt,
          verb,
          cause,
        });
      }
      return 'failed';
    });
  }

  private settleInBackground<T>(
    settle: () => Awaitable<T | 'failed'>,
    settled: (result: T) => void,
  ): void {
    const giveUp = (): void => {
      this.local.end();
      this.close();
    };
    this.around.inBackground(
      settleLater(this.around.clock, this.retentionMs, settle, settled, giveUp),
    );
  }

  private emit(type: 'stored' | 'released' | 'lease-lost'): void {
    if (!this.around.events.hasListeners) return;
    const { id, scope } = this.request;
    this.around.events.emit({ type, scope, id, attempt: this.attempt });
  }

  private close(): void {
    this.phase = 'ended';
    this.cancelRenewal?.();
    this.around.closed(this.request.id, this.local);
  }
}

/** Failure as a value: settling decides what it means. */
class Failure {
  constructor(readonly cause: unknown) {}
}

function attempt<T>(run: () => Awaitable<T>): Awaitable<T | Failure> {
  try {
    const value = run();
    return isPending(value)
      ? Promise.resolve(value).catch((cause: unknown) => new Failure(cause))
      : value;
  } catch (cause) {
    return new Failure(cause);
  }
}
