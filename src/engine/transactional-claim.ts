import type { AttemptCounter } from './attempt-counter.js';
import type { Asking } from './leased-claims.js';
import type { Claim, LastDecision, SaveStepOptions, Settlement } from './claim.js';
import type { Clock } from './clock.js';
import type { DeferredCompletions } from './deferred.js';
import { type EventSink, type OwnersEvent, subjectOf } from './events.js';
import { lastDecision, type OperationPolicy } from './operation.js';
import type { ReplayCache } from './replay-cache.js';
import type { StoreCalls } from './store-calls.js';
import type { Acquired, IdempotencyStore, Steps } from './store.js';
import { failureOf } from './story.js';
import { takeBack } from './taking-back.js';
import {
  type CommitFailure,
  EndedTransactionError,
  type OperationManager,
  type StoreTransaction,
  type TransactionalStore,
  UnsentError,
} from './transaction.js';
import { acquire, begin, refOf } from './transactional-asking.js';
import {
  causeOf,
  hasGoneOn,
  heldFor,
  holdCommitted,
  holdHere,
  isCommitted,
  rollBack,
  undoOrHold,
} from './undoing.js';
import type { LocalCall } from './waiting.js';

const NEVER_ABORTED = new AbortController().signal;

/** What a claim needs of the engine. */
export interface TransactionalClaimSurroundings {
  readonly calls: StoreCalls;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly deferred: Pick<DeferredCompletions, 'bounds'>;
  readonly replays?: ReplayCache | undefined;
  closed(id: string, local: LocalCall): void;
  /** Registers background work, so that a shutdown can wait for it. */
  inBackground(work: Promise<void>): void;
}

/**
 * The owner's side of an operation whose records and work are one transaction. The lock on a row
 * takes the place of a lease. It needs no renewal, and a process that dies leaves nothing behind.
 */
export class TransactionalClaim implements Claim {
  readonly id: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly steps: Steps;
  readonly keepsReply = true;
  readonly signal: AbortSignal = NEVER_ABORTED;
  readonly manager: OperationManager;
  readonly checkWork: (() => Promise<void>) | undefined;
  /** The records in the transaction, outermost first. */
  private readonly records: Asking[];
  private handlerStartedAtMs: number | undefined;
  private readonly policy: OperationPolicy;
  private phase: 'running' | 'failed' | 'ended' = 'running';
  /** It stays so if nothing could be undone: the handler may have ended the transaction. */
  private isUndoing = false;
  private ttlMs: number | undefined;
  /** What is on record instead of the reply. */
  private tombstone: Uint8Array | undefined;
  private isReachedOut = false;
  private isRecorded = false;
  private completing: Promise<Settlement> | undefined;

  constructor(
    private readonly around: TransactionalClaimSurroundings,
    public transaction: StoreTransaction,
    outermost: Asking,
    acquired: Acquired,
    private readonly counter?: AttemptCounter,
  ) {
    this.id = outermost.request.id;
    this.policy = outermost.request.policy;
    this.attempt = counter?.attempt ?? acquired.attempt;
    this.fencingToken = acquired.fencingToken;
    this.steps = acquired.steps;
    this.manager = transaction.manager;
    this.checkWork = transaction.checkWork;
    this.records = [outermost];
  }

  get ifFails(): LastDecision | undefined {
    return lastDecision(this.policy, this.attempt);
  }

  get isRunning(): boolean {
    return this.phase === 'running';
  }

  /** Adds a record that was acquired in the transaction. All of them end together. */
  add(asking: Asking): void {
    this.records.push(asking);
  }

  confirm(): boolean {
    return true;
  }

  isConflict(error: unknown): boolean {
    return this.transaction.failureOf?.(error) === 'conflict';
  }

  get hasReachedOut(): boolean {
    return this.isReachedOut || this.transaction.hasReachedOut === true;
  }

  reachOut(): void {
    this.isReachedOut = true;
  }

  handOver(): void {
    this.handlerStartedAtMs = this.around.clock.now();
  }

  setTtl(ttlMs: number): void {
    this.ttlMs = ttlMs;
  }

  run<T>(work: () => T): T {
    return this.transaction.run(work);
  }

  complete(reply: Uint8Array): Promise<Settlement> {
    return (this.completing = this.settle({ type: 'stored' }, reply, () => this.writeReply(reply)));
  }

  async fail(reply: Uint8Array): Promise<Settlement> {
    return this.keep({ type: 'stored' }, () => this.writeReply(reply), reply);
  }

  release(): Promise<void> {
    return this.undo(() => this.counter?.keep());
  }

  withdraw(): Promise<void> {
    return this.undo(() => this.counter?.withdraw());
  }

  private async undo(count: () => unknown): Promise<void> {
    if (this.phase === 'failed') {
      this.phase = 'ended';
      return;
    }
    this.startSettling();
    const cause = await undoOrHold(this.around.calls, this.transaction, this.records);
    this.emit(cause === undefined ? { type: 'released' } : heldFor(cause));
    await count();
    this.end();
  }

  async giveBack(): Promise<void> {
    const release = (): Promise<boolean> =>
      this.inAll((asking) => {
        const { ttlMs } = asking.request.policy;
        return this.transaction.release({ ...refOf(asking), ttlMs, isUncounted: true });
      });
    const count = (): unknown => this.counter?.withdraw();
    const settlement = await this.settle({ type: 'released' }, undefined, release, count);
    if (settlement.outcome === 'undone') throw settlement.cause;
    if (settlement.outcome === 'failed') throw settlement.error;
  }

  async takeBack(): Promise<void> {
    await this.completing;
    if (!this.isRecorded) return;
    const { source } = this.records[0]!.request.transaction ?? {};
    const place = async (store: IdempotencyStore): Promise<IdempotencyStore> =>
      (source !== undefined && (await (store as TransactionalStore).recordsOf?.(source))) || store;
    const ids = this.records.map(({ request }) => request.id);
    const recorded = { ids, ttlMs: this.ttlMs ?? this.policy.ttlMs, place };
    await takeBack(this.around, recorded, (cause) =>
      this.emit({ type: 'completion-failed', verb: 'release', cause }),
    );
  }

  hold(reason: string, error?: unknown): Promise<Settlement> {
    const told = { reason, failure: failureOf(error) };
    return this.keep({ type: 'held', reason }, () =>
      this.inAll((on) => this.transaction.hold({ ...refOf(on), ...told, ttlMs: this.ttlOf(on) })),
    );
  }

  async saveStep(
    name: string,
    value: Uint8Array,
    { tombstone }: SaveStepOptions = {},
  ): Promise<boolean> {
    const step = { ...refOf(this.records[0]!), name };
    try {
      return await this.transaction.saveStep({ ...step, value });
    } catch (cause) {
      if (!(cause instanceof UnsentError) || tombstone === undefined) throw cause;
      tombstone.used();
      return this.transaction.saveStep({ ...step, value: tombstone.value });
    }
  }

  /** Instead of a reply that the server would never take, a tombstone: the work is done, and stays so. */
  private async writeReply(reply: Uint8Array): Promise<boolean> {
    try {
      return await this.writeBytes(reply);
    } catch (cause) {
      if (!(cause instanceof UnsentError)) throw cause;
      const { tombstone } = this.around.deferred.bounds;
      this.tombstone = tombstone;
      this.emit({ type: 'completion-failed', verb: 'complete', cause, keeps: 'tombstone' });
      return this.writeBytes(tombstone);
    }
  }

  private writeBytes(reply: Uint8Array): Promise<boolean> {
    return this.inAll((asking) => {
      const keptMs = asking.request.policy.keepsReply ? this.ttlOf(asking) : 0;
      return this.transaction.complete({ ...refOf(asking), reply, ttlMs: keptMs });
    });
  }

  private ttlOf({ request: { policy, leastTtlMs = 0 } }: Asking): number {
    return Math.max(this.ttlMs ?? policy.ttlMs, leastTtlMs);
  }

  private async inAll(write: (asking: Asking) => Promise<boolean>): Promise<boolean> {
    for (const asking of this.records) if (!(await write(asking))) return false;
    return true;
  }

  /**
   * Records how the operation ended, and commits everything or nothing. If the database does not
   * answer in time, it decides which of the two, and a retry finds out.
   */
  private async settle(
    event: OwnersEvent,
    reply: Uint8Array | undefined,
    write: () => Promise<boolean>,
    count: () => unknown = () => this.counter?.end(),
  ): Promise<Settlement> {
    this.startSettling();
    try {
      await this.around.calls.call('commit', () => this.commit(write));
    } catch (failure) {
      const unsettled = await this.unsettled(failure);
      if (unsettled !== undefined) return unsettled;
    }
    this.isRecorded = reply !== undefined;
    if (reply !== undefined)
      for (const { request, local } of this.records)
        if (request.policy.keepsReply) local.reply(this.tombstone ?? reply);
    this.emit(event);
    await count();
    this.end();
    return { outcome: 'stored' };
  }

  /** What came of a commit that failed; `undefined` if only its answer was lost. */
  private async unsettled(failure: unknown): Promise<Settlement | undefined> {
    // Absent if the database did not answer in time.
    const cause = causeOf(failure);
    const meaning = this.meaningOf(cause);
    let isHeld = false;
    const mayBeCommitted = this.isUndoing || (meaning !== 'work' && meaning !== 'conflict');
    if (mayBeCommitted && cause !== undefined) {
      const { calls } = this.around;
      const claims = this.records.map(refOf);
      const isSettled = await isCommitted(calls, this.transaction, claims[0]!);
      if (isSettled && !hasGoneOn(cause)) return undefined;
      isHeld = (await holdCommitted(calls, this.transaction, claims)) || isSettled;
    }
    const released = { type: 'released', cause: meaning === 'work' ? cause : failure } as const;
    this.emit(isHeld ? heldFor(failure) : released);
    await this.counter?.keep();
    this.end();
    if (isHeld) return { outcome: 'undone', cause: failure, why: 'held' };
    if (meaning !== 'work') return { outcome: 'undone', cause: failure, why: meaning ?? 'unknown' };
    this.phase = 'failed';
    return { outcome: 'failed', error: cause };
  }

  private meaningOf(cause: unknown): CommitFailure | undefined {
    if (cause === undefined) return 'unknown';
    if (cause instanceof EndedTransactionError) return cause.isUndone ? 'conflict' : 'unknown';
    return this.transaction.failureOf?.(cause);
  }

  /**
   * The database has refused the work, and the claim has gone with it. What is kept of the failure
   * gets a claim and a transaction of its own.
   */
  private async claimAnew(): Promise<boolean> {
    const { calls } = this.around;
    this.transaction = await begin(calls, this.records[0]!);
    for (const asking of this.records) {
      const { outcome } = await acquire(calls, this.transaction, asking);
      if (outcome !== 'acquired') return false;
    }
    return true;
  }

  /** Keeps what came of work that has been undone. */
  private async keep(
    event: OwnersEvent,
    write: () => Promise<boolean>,
    reply?: Uint8Array,
  ): Promise<Settlement> {
    if (this.phase !== 'failed') {
      return this.settle(event, reply, async () => {
        this.isUndoing = true;
        await this.transaction.undoWork();
        this.isUndoing = false;
        return write();
      });
    }
    this.phase = 'ended';
    try {
      if (!(await this.claimAnew())) {
        await rollBack(this.around.calls, this.transaction);
        return { outcome: 'lost' };
      }
      await this.around.calls.call('commit', () => this.commit(write));
    } catch (cause) {
      await rollBack(this.around.calls, this.transaction);
      return { outcome: 'undone', cause, why: 'undone' };
    }
    this.emit(event);
    return { outcome: 'stored' };
  }

  private async commit(write: () => Promise<boolean>): Promise<void> {
    try {
      if (!(await write())) throw new EndedTransactionError(false);
      await this.transaction.commit();
    } catch (cause) {
      if (hasGoneOn(cause)) await holdHere(this.around.calls, this.transaction, this.records);
      await this.transaction.rollback();
      throw cause;
    }
  }

  private startSettling(): void {
    this.phase = 'ended';
    if (this.handlerStartedAtMs === undefined) return;
    const durationMs = this.around.clock.now() - this.handlerStartedAtMs;
    this.emit({ type: 'executed', durationMs });
  }

  private emit(facts: OwnersEvent): void {
    if (!this.around.events.hasListeners) return;
    const { attempt } = this;
    for (const { request } of this.records)
      this.around.events.emit({ ...facts, ...subjectOf(request), attempt });
  }

  private end(): void {
    for (const { request, local } of this.records) {
      this.around.closed(request.id, local);
      local.end();
    }
  }
}
