import { AbandonedOperations, type AbandonedOutcome } from '../engine/abandoned.js';
import type { IdempotencyEngine } from '../engine/engine.js';
import type { OperationRequest } from '../engine/operation.js';
import { newOwner } from '../engine/owned-record.js';
import type { StoreCalls } from '../engine/store-calls.js';
import type { IdempotencyStore, ListedRecord, RecordPage } from '../engine/store.js';
import type { TransactionalStore } from '../engine/transaction.js';
import { FailedQuestions } from './failed-questions.js';

/** How much one sweep may do. */
export interface SweepLimits {
  /** The most records of one page. */
  readonly batch: number;
  /** Between two pages, in milliseconds. */
  readonly pauseMs: number;
  /** How long it may take, in milliseconds. The next one goes on where it ended. */
  readonly timeMs: number;
}

/** What a sweep did. */
export interface SweepResult {
  /** False if another process sweeps, or did so a moment ago. Then nothing was done. */
  readonly isDone: boolean;
  /** How many operations were settled, by what became of them. */
  readonly replied: number;
  readonly released: number;
  readonly held: number;
  /** How many could not be settled: `onAbandoned` threw, or the store failed. They stay abandoned. */
  readonly failed: number;
  /** False if its time was over before it had seen everything, or a data source did not answer. */
  readonly isComplete: boolean;
}

/** What a sweep needs to know about the application. */
export interface SweepSurroundings {
  readonly engine: IdempotencyEngine;
  /** The record that one process at a time owns, and for whose handlers it stands. */
  lockId(): string;
  /** How to settle the record; `undefined` if no handler here wants to be asked. */
  requestFor(record: ListedRecord): OperationRequest | undefined;
  /** Called for an operation that stays abandoned. */
  failed(scope: string, error: unknown): void;
  /** Called for an operation that was settled. */
  settled(scope: string): void;
  /** Called for a data source whose operations could not be listed; `undefined` is the store's own. */
  unreachable(source: string | undefined, error: unknown): void;
  /** Called for a data source that answers. */
  reached(source: string | undefined): void;
}

type Count = { -readonly [Name in keyof SweepResult]: SweepResult[Name] };

const NOTHING: SweepResult = {
  isDone: false,
  replied: 0,
  released: 0,
  held: 0,
  failed: 0,
  isComplete: false,
};

/** The claim of the lock outlives the longest page by far. In milliseconds. */
const LEAST_LOCK_MS = 60_000;
/** The record of the lock is gone with its lease. In milliseconds. */
const LOCK_TTL_MS = 1;

/** Where a sweep goes on. */
interface Position {
  readonly place: number;
  readonly after: string | undefined;
}

const START: Position = { place: 0, after: undefined };

/** The records of one data source, and how its operations are settled. */
interface Place {
  /** `undefined` for the store's own. */
  readonly source: string | undefined;
  readonly store: IdempotencyStore;
  readonly calls: StoreCalls;
  readonly operations: AbandonedOperations;
}

/**
 * Looks for abandoned operations and asks their handlers' `onAbandoned`, without waiting for a retry.
 * One process at a time does it, as long as it renews a lock in the store. If that process dies, another
 * one takes the lock when its lease has run out. The lock only saves work: each operation is claimed
 * by itself.
 */
export class Sweep {
  private owner: string | undefined;
  private position = START;
  private isRunning = false;
  private isStopped = false;
  /** True if this round could not see all: a data source did not answer. */
  private hasGap = false;
  private readonly failedQuestions = new FailedQuestions();

  constructor(private readonly around: SweepSurroundings) {}

  /**
   * Sweeps once, if this process has the lock or gets it.
   *
   * @param keepMs how long this process keeps the lock afterwards; 0 gives it back, unless it had it before
   * @throws {@link StoreUnavailableError}, and what a store throws that cannot list
   */
  async run(limits: SweepLimits, keepMs: number): Promise<SweepResult> {
    if (this.isRunning) return NOTHING;
    this.isRunning = true;
    const hadLock = this.owner !== undefined;
    try {
      const lockMs = Math.max(LEAST_LOCK_MS, 2 * limits.timeMs, keepMs);
      if (!(await this.lock(lockMs))) return NOTHING;
      try {
        return await this.sweep(limits, lockMs);
      } finally {
        if (keepMs > 0 && !this.isStopped) await this.lock(keepMs);
        else if (!hadLock || this.isStopped) await this.unlock();
      }
    } finally {
      this.isRunning = false;
    }
  }

  /** Lets another process sweep. A sweep that is running ends after its present operation. */
  async stop(): Promise<void> {
    this.isStopped = true;
    if (!this.isRunning) await this.unlock();
  }

  private async sweep(limits: SweepLimits, lockMs: number): Promise<SweepResult> {
    const { clock } = this.around.engine;
    const endsAtMs = clock.now() + limits.timeMs;
    const isOver = (): boolean => this.isStopped || clock.now() >= endsAtMs;
    const count: Count = { ...NOTHING, isDone: true };
    const sources = this.sources();
    const asked = new Set<string>();
    const errors: unknown[] = [];
    let seen = 0;
    let renewedAtMs = clock.now();
    this.failedQuestions.begin();
    while (this.position.place < sources.length) {
      const { place: index } = this.position;
      const source = sources[index];
      let place: Place;
      let page: RecordPage;
      try {
        place = await this.placeOf(source);
        page = await this.page(place, limits.batch);
        this.around.reached(source);
        seen += 1;
      } catch (error) {
        // One that is down keeps the others from nothing.
        errors.push(error);
        this.around.unreachable(source, error);
        this.hasGap = true;
        this.position = { place: index + 1, after: undefined };
        if (isOver()) break;
        continue;
      }
      const { records, next } = page;
      for (const record of records) {
        if (isOver()) return count;
        if (clock.now() - renewedAtMs > lockMs / 3) {
          renewedAtMs = clock.now();
          if (!(await this.lock(lockMs))) return count;
        }
        if (asked.has(record.id)) continue;
        asked.add(record.id);
        await this.settle(place, record, count);
      }
      this.position =
        next === undefined ? { place: index + 1, after: undefined } : { place: index, after: next };
      if (isOver()) break;
      if (next !== undefined && limits.pauseMs > 0)
        await new Promise<void>((go) => void clock.after(limits.pauseMs, go));
    }
    const isAtEnd = this.position.place >= sources.length;
    count.isComplete = isAtEnd && !this.hasGap;
    if (isAtEnd) {
      this.position = START;
      // What a data source did not show may be there all the same.
      if (!this.hasGap) this.failedQuestions.endRound();
      this.hasGap = false;
    }
    if (seen === 0 && errors.length > 0) throw errors[0];
    return count;
  }

  private async settle(place: Place, record: ListedRecord, count: Count): Promise<void> {
    const { id, story: { scope = '' } = {} } = record;
    const question = `${place.source ?? ''} ${scope}`;
    const request = this.around.requestFor(record);
    if (request === undefined || this.failedQuestions.areResting(question, id)) return;
    try {
      const outcome = await place.operations.settle(request);
      if (outcome === undefined) return;
      this.failedQuestions.remove(question, id);
      this.around.settled(scope);
      count[outcome] += 1;
      this.tell(request, outcome);
    } catch (error) {
      count.failed += 1;
      this.failedQuestions.add(question, id);
      this.around.failed(scope, error);
    }
  }

  private tell({ scope, id }: OperationRequest, outcome: AbandonedOutcome): void {
    const { events } = this.around.engine;
    if (!events.hasListeners) return;
    const about = { scope, id, strategy: 'sweep', by: 'sweep', reason: 'abandoned' };
    events.emit({ type: 'settled', ...about, decision: outcome });
  }

  private async page({ store, calls }: Place, limit: number): Promise<RecordPage> {
    const { after } = this.position;
    if (store.list === undefined) return { records: [] };
    return calls.call('list', () => store.list!({ state: 'abandoned', after, limit }));
  }

  /** The names of the data sources; `undefined` for the store's own. */
  private sources(): readonly (string | undefined)[] {
    const own = this.around.engine.calls.store as Partial<TransactionalStore>;
    return [undefined, ...(own.recordsOf === undefined ? [] : (own.sources ?? []))];
  }

  private async placeOf(source: string | undefined): Promise<Place> {
    const { engine } = this.around;
    const { clock, events, deferred } = engine;
    const own = engine.calls.store as IdempotencyStore & Partial<TransactionalStore>;
    if (source === undefined) {
      const operations = new AbandonedOperations(engine);
      return { source, store: own, calls: engine.calls, operations };
    }
    const store = await own.recordsOf!(source);
    const calls = engine.calls.to(store);
    const operations = new AbandonedOperations({
      calls,
      clock,
      events,
      deferred,
      opened: () => undefined,
      closed: () => undefined,
      inBackground: (work) => engine.inBackground(work),
    });
    return { source, store, calls, operations };
  }

  /** True if this process has the lock now, for so long. */
  private async lock(leaseMs: number): Promise<boolean> {
    const { calls } = this.around.engine;
    const id = this.around.lockId();
    const lasts = { leaseMs, ttlMs: LOCK_TTL_MS };
    const { owner } = this;
    if (owner !== undefined) {
      if (await calls.call('extend', (store) => store.extend({ id, owner, ...lasts }))) return true;
      this.owner = undefined;
    }
    const next = newOwner();
    const claim = { id, owner: next, fingerprint: '', ...lasts };
    const result = await calls.acquire(claim);
    if (result.outcome !== 'acquired') return false;
    this.owner = next;
    return true;
  }

  private async unlock(): Promise<void> {
    const { owner } = this;
    if (owner === undefined) return;
    this.owner = undefined;
    const id = this.around.lockId();
    const { calls } = this.around.engine;
    try {
      await calls.call('release', (store) => store.release({ id, owner, ttlMs: LOCK_TTL_MS }));
    } catch {
      // It ends with its lease.
    }
  }
}
