import { attempt, type Awaitable, chain, Failure } from './awaitable.js';
import type { Claim, LastDecision, SaveStepOptions, Settlement } from './claim.js';
import type { Clock } from './clock.js';
import type { DeferredCompletions, DeferredReply } from './deferred.js';
import { type EventSink, type OwnersEvent, subjectOf } from './events.js';
import { Lease, type LeaseHolder, outside, settleLater } from './lease.js';
import type { LocalCall } from './waiting.js';
import { lastDecision, type OperationRequest } from './operation.js';
import { OwnedRecord } from './owned-record.js';
import type { ReplayCache } from './replay-cache.js';
import { type Acquired, isStoreFull, type Steps } from './store.js';
import type { StoreCalls } from './store-calls.js';
import { failureOf } from './story.js';
import { takeBack } from './taking-back.js';

const STORED: Settlement = { outcome: 'stored' };
const DEFERRED: Settlement = { outcome: 'deferred' };
const LOST: Settlement = { outcome: 'lost' };

/** What a claim needs of the engine. */
export interface LeasedClaimSurroundings {
  readonly calls: StoreCalls;
  readonly clock: Clock;
  readonly events: EventSink;
  /** Finished operations that still have to be recorded. */
  readonly deferred: DeferredCompletions;
  /** Replies that are on record; absent if the store is always asked. */
  readonly replays?: ReplayCache | undefined;
  /** From now on, duplicates in this process find the call, unless another one has replaced it. */
  opened(id: string, local: LocalCall): void;
  /** From now on, duplicates in this process no longer find the call. */
  closed(id: string, local: LocalCall): void;
  /** Registers background work, so that a shutdown can wait for it. */
  inBackground(work: Promise<void>): void;
}

const NO_STEPS: Steps = new Map();

/**
 * The owner's side of an operation: keeps the lease alive, then settles the record once. A lock is
 * a claim whose completion releases: however it ends, the record is free for the next call.
 */
export class LeasedClaim implements Claim, LeaseHolder {
  readonly id: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly steps: Steps;
  readonly keepsReply: boolean;
  isRunning = true;
  private handlerStartedAtMs: number | undefined;
  private isCompleting = false;
  private whenCompleted: (() => void) | undefined;
  private settling: Promise<void> | undefined;
  private isRecorded = false;
  private readonly request: OperationRequest;
  private readonly lease: Lease;
  private readonly record: OwnedRecord;

  /** @param askedAtMs when the store was asked for the claim */
  constructor(
    private readonly around: LeasedClaimSurroundings,
    private readonly local: LocalCall,
    request: OperationRequest,
    owner: string,
    acquired: Acquired,
    askedAtMs: number,
  ) {
    this.id = request.id;
    this.keepsReply = request.policy.keepsReply;
    // Every holder of a lock is attempt 1: earlier holders ran other operations.
    this.attempt = this.keepsReply ? acquired.attempt : 1;
    this.steps = this.keepsReply ? acquired.steps : NO_STEPS;
    this.fencingToken = acquired.fencingToken;
    this.request = withoutCall(request);
    this.record = new OwnedRecord(around.calls, this.request, owner);
    this.lease = new Lease(around.clock, request.policy.leaseMs, askedAtMs, this);
  }

  get ifFails(): LastDecision | undefined {
    return lastDecision(this.request.policy, this.attempt);
  }

  get isLost(): boolean {
    return this.lease.isLost;
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }

  confirm(): Awaitable<boolean> {
    return this.lease.confirm();
  }

  handOver(): void {
    this.handlerStartedAtMs = this.around.clock.now();
  }

  run<T>(work: () => T): T {
    return work();
  }

  setTtl(ttlMs: number): void {
    if (this.keepsReply) this.record.keepFor(ttlMs);
  }

  complete(reply: Uint8Array): Awaitable<Settlement> {
    if (!this.keepsReply) return this.unlock();
    this.startSettling();
    this.isCompleting = true;
    return chain(this.tryToRecordInTime(reply), (settlement) => {
      if (!(settlement instanceof Failure)) return this.recorded(settlement, reply);
      if (isStoreFull(settlement.cause)) return this.completeWithTombstone(settlement.cause);
      return this.defer(this.around.deferred.add(reply), settlement.cause);
    });
  }

  fail(reply: Uint8Array): Awaitable<Settlement> {
    return this.complete(reply);
  }

  release(): Awaitable<void> {
    return this.free(false);
  }

  withdraw(): Awaitable<void> {
    return this.free(true);
  }

  async takeBack(): Promise<void> {
    // What is still being recorded would be on record after it.
    if (this.isCompleting) await new Promise<void>((done) => (this.whenCompleted = done));
    await this.settling;
    if (!this.isRecorded) return;
    const recorded = { ids: [this.id], ttlMs: this.record.ttlMs };
    await takeBack(this.around, recorded, (cause) => this.emitFailure('release', cause));
  }

  private free(isUncounted: boolean): Awaitable<void> {
    this.startSettling();
    const release = (): Awaitable<boolean | Failure> =>
      this.try('release', () => this.record.release(isUncounted));
    return chain(release(), (released) => {
      this.leave();
      if (released instanceof Failure) {
        this.settleInBackground(release, (late) => this.settled(late, { type: 'released' }));
      } else {
        if (!released) this.lease.lose();
        this.settled(released, { type: 'released' });
      }
    });
  }

  giveBack(): Awaitable<void> {
    return this.withdraw();
  }

  hold(reason: string, error?: unknown): Awaitable<Settlement> {
    if (!this.keepsReply) return this.unlock();
    this.startSettling();
    const failure = failureOf(error);
    const hold = (): Awaitable<boolean | Failure> =>
      this.try('hold', () => this.record.hold(reason, failure));
    return chain(hold(), (held) => {
      this.leave();
      if (held instanceof Failure) {
        this.settleInBackground(hold, (late) => this.settled(late, { type: 'held', reason }));
        return DEFERRED;
      }
      if (!held) this.lease.lose();
      this.settled(held, { type: 'held', reason });
      return held ? STORED : LOST;
    });
  }

  saveStep(name: string, value: Uint8Array, options?: SaveStepOptions): Awaitable<boolean> {
    if (!this.keepsReply) return !this.isLost;
    const mustBeOnRecord = options?.orFail === true || this.sendsRecordedOnly;
    return chain(
      attempt(() => this.record.saveStep(name, value, options?.tombstone)),
      (saved) => {
        if (saved instanceof Failure) {
          if (mustBeOnRecord) throw saved.cause;
          this.record.saveStepLater(name, value);
          this.emit({ type: 'step-not-saved', cause: saved.cause });
          return true;
        }
        if (!saved) this.lease.lose();
        return saved;
      },
    );
  }

  /**
   * Lets the lease expire, because nobody could find out what the previous owner did. The next call
   * takes over and asks again.
   */
  abandon(): void {
    this.isRunning = false;
    this.leave();
    this.close();
  }

  extend(withinMs: number): Awaitable<boolean> {
    return this.record.extend(withinMs);
  }

  leaseLost(): void {
    this.emit({ type: 'lease-lost' });
    // While the claim is being settled, the settlement decides what duplicates in this process get.
    if (this.isRunning) this.leave();
  }

  /** `lost`: somebody else may have worked at the same time. */
  private unlock(): Awaitable<Settlement> {
    return chain(this.release(), () => (this.isLost ? LOST : STORED));
  }

  private startSettling(): void {
    this.isRunning = false;
    this.lease.startSettling();
    // A recovery settles without the handler.
    if (this.handlerStartedAtMs === undefined) return;
    this.emit({
      type: 'executed',
      durationMs: this.around.clock.now() - this.handlerStartedAtMs,
    });
  }

  /**
   * When the lease runs out meanwhile, the process may have been paused: that the store did not
   * answer in time says nothing then, and somebody else may have finished. So it is asked again.
   */
  private tryToRecordInTime(reply: Uint8Array): Awaitable<Settlement | Failure> {
    return chain(this.tryToRecord(reply), (settlement) =>
      settlement instanceof Failure && !isStoreFull(settlement.cause) && this.lease.hasRunOut
        ? this.tryToRecord(reply)
        : settlement,
    );
  }

  private tryToRecord(reply: Uint8Array): Awaitable<Settlement | Failure> {
    return attempt(() => this.recordReply(reply));
  }

  /** There is no room for the reply, but there may be room for a tombstone. */
  private completeWithTombstone(cause: unknown): Awaitable<Settlement> {
    const { tombstone } = this.around.deferred.bounds;
    return chain(this.tryToRecord(tombstone), (settlement) => {
      if (settlement instanceof Failure)
        return this.defer(this.around.deferred.add(tombstone), settlement.cause);
      this.emitFailure('complete', cause, 'tombstone');
      return this.recorded(settlement, tombstone);
    });
  }

  /**
   * The reply is recorded later, and may be sent now unless it has to be on record first. It has to
   * once the lease has run out, because then another owner may send another reply. Only `waiting`
   * may refer to the reply here, so that it can be dropped.
   */
  private defer(waiting: DeferredReply, cause: unknown): Settlement {
    this.emitFailure('complete', cause, waiting.kind);
    // Duplicates in this process are answered from memory until the store has it, or wait.
    const isSent = !this.sendsRecordedOnly && !this.lease.hasRunOut;
    if (isSent) this.local.reply(waiting.bytes);
    else this.local.run();
    this.around.opened(this.id, this.local);
    const complete = (): Awaitable<Settlement | Failure> =>
      chain(this.tryToRecord(waiting.bytes), (settlement) => {
        if (settlement instanceof Failure) this.failedAgain(waiting, settlement.cause, isSent);
        return settlement;
      });
    const settled = (late: Settlement): void => void this.recorded(late, waiting.bytes);
    this.settleInBackground(complete, settled, () => waiting.leave());
    this.isCompleting = false;
    this.whenCompleted?.();
    return isSent ? DEFERRED : { outcome: 'unrecorded', cause };
  }

  private get sendsRecordedOnly(): boolean {
    return this.request.policy.onRecordFailure === 'fail';
  }

  private recordReply(reply: Uint8Array): Awaitable<Settlement> {
    const { replays, clock } = this.around;
    const sinceMs = replays === undefined ? 0 : clock.now();
    return chain(this.record.complete(reply), (written) => {
      if (!written) return this.reclaim(reply);
      this.remember(reply, sinceMs);
      return STORED;
    });
  }

  /** In place of a tombstone, an earlier try may have recorded the reply itself. */
  private remember(reply: Uint8Array, sinceMs: number): void {
    const { replays, deferred } = this.around;
    if (replays === undefined || reply === deferred.bounds.tombstone) return;
    replays.add(this.id, this.request.fingerprint, reply, sinceMs, this.record.ttlMs);
  }

  private failedAgain(waiting: DeferredReply, cause: unknown, isSent: boolean): void {
    if (isStoreFull(cause)) {
      waiting.shrink();
      if (isSent) this.local.reply(waiting.bytes);
    }
    this.emitFailure('complete', cause, waiting.kind);
  }

  /**
   * The lease expired before the reply was ready. If nobody took over, the record is claimed once
   * more, only to record what was done. If somebody else finished, theirs is the reply.
   */
  private async reclaim(reply: Uint8Array): Promise<Settlement> {
    this.lease.lose();
    const askedAtMs = this.around.clock.now();
    const result = await this.record.reclaim();
    if (result.outcome === 'completed') return { outcome: 'superseded', reply: result.reply };
    if (result.outcome === 'acquired') this.lease.regain(askedAtMs);
    // In flight may mean that an earlier try of this claim succeeded, but the store answered too
    // late.
    else if (result.outcome !== 'in-flight') return LOST;
    return (await this.record.complete(reply)) ? STORED : LOST;
  }

  private recorded(settlement: Settlement, reply: Uint8Array): Settlement {
    this.isCompleting = false;
    this.whenCompleted?.();
    if (settlement.outcome === 'stored') {
      this.isRecorded = this.keepsReply;
      this.local.reply(reply);
      this.emit({ type: 'stored' });
    } else {
      this.leave();
    }
    this.close();
    return settlement;
  }

  private settled(done: boolean, event: OwnersEvent): void {
    if (done) this.emit(event);
    this.close();
  }

  /** Tries a settling verb once, and reports a failure before anything is decided about it. */
  private try<T>(verb: 'release' | 'hold', run: () => Awaitable<T>): Awaitable<T | Failure> {
    return chain(attempt(run), (result) => {
      if (result instanceof Failure) this.emitFailure(verb, result.cause);
      return result;
    });
  }

  private emitFailure(
    verb: 'complete' | 'release' | 'hold',
    cause: unknown,
    keeps?: 'reply' | 'tombstone',
  ): void {
    this.emit({ type: 'completion-failed', verb, cause, ...(keeps && { keeps }) });
  }

  private settleInBackground<T>(
    settle: () => Awaitable<T | Failure>,
    settled: (result: T) => void,
    left: () => void = this.around.deferred.book(this.record.unsavedBytes),
  ): void {
    const giveUp = (): void => this.abandon();
    this.lease.detach();
    const [{ clock }, { ttlMs }] = [this.around, this.record];
    // Promises keep the context in which they were made.
    outside(() => {
      this.settling = settleLater(clock, ttlMs, settle, settled, giveUp).finally(left);
      this.around.inBackground(this.settling);
    });
  }

  private emit(facts: OwnersEvent): void {
    if (!this.around.events.hasListeners) return;
    const subject = subjectOf(this.request);
    this.around.events.emit({ ...facts, ...subject, attempt: this.attempt });
  }

  /** From now on, calls that wait in this process ask the store. */
  private leave(): void {
    this.around.closed(this.id, this.local);
    this.local.end();
  }

  private close(): void {
    this.lease.stop();
    this.around.closed(this.id, this.local);
  }
}

/** An object that outlives its call must not keep it in memory: the request may be large. */
function withoutCall(request: OperationRequest): OperationRequest {
  const { id, scope, label, fingerprint, policy, leastTtlMs, caller } = request;
  return { id, scope, label, fingerprint, policy, leastTtlMs, caller };
}
