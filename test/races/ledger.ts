import assert from 'node:assert/strict';
import type {
  Acquired,
  AcquireRequest,
  AcquireResult,
  Awaitable,
  CompleteRequest,
  ExtendRequest,
  HoldRequest,
  IdempotencyStore,
  RecordView,
  ReleaseRequest,
  SaveStepRequest,
} from '../../src/engine/store.js';
import type { MemoryStore } from '../../src/stores/memory/index.js';
import type { ManualClock } from '../../src/testing/index.js';
import { textOf } from '../support/engine.js';

/** What was once on record, and how long it has to stay. */
interface Kept {
  readonly reply: string;
  readonly owner: string;
  readonly untilMs: number;
}

/** Watches a store from beside it: what must be true of its records at any moment. */
export class Ledger {
  private readonly kept = new Map<string, Kept>();
  private readonly lastToken = new Map<string, number>();
  private violation: { readonly error: unknown } | undefined;

  constructor(
    private readonly memory: MemoryStore,
    private readonly clock: ManualClock,
  ) {}

  /** Expects something where nobody would see it fail; {@link report} tells it. */
  watch(expectation: () => void): void {
    try {
      expectation();
    } catch (error) {
      this.violation ??= { error };
    }
  }

  report(): void {
    if (this.violation !== undefined) throw this.violation.error;
  }

  replyOf(id: string): string | undefined {
    const reply = this.memory.find(id)?.reply;
    return reply && textOf(reply);
  }

  /** A completed record never changes before its ttl has passed. */
  check(id: string): void {
    const view = this.memory.find(id);
    const kept = this.kept.get(id);
    const now = this.clock.now();
    if (kept !== undefined && now < kept.untilMs) {
      assert.deepEqual([view?.state, view?.owner], ['completed', kept.owner]);
      assert.equal(this.replyOf(id), kept.reply);
    } else if (view?.state === 'completed') {
      const { owner, reply = Buffer.of(), ttlRemainingMs = Infinity } = view;
      this.kept.set(id, { owner, reply: textOf(reply), untilMs: now + ttlRemainingMs });
    }
  }

  /** One claim: who may win, and what a refusal leaves behind. */
  acquire(request: AcquireRequest): AcquireResult {
    const { id } = request;
    this.watch(() => this.check(id));
    const before = this.memory.find(id);
    const result = this.memory.acquire(request);
    this.watch(() => {
      if (result.outcome === 'acquired') this.checkClaim(request, before, result);
      else assert.deepEqual(this.memory.find(id), before);
    });
    return result;
  }

  private checkClaim(request: AcquireRequest, before: RecordView | undefined, claim: Acquired) {
    const { state, leaseRemainingMs = 0 } = before ?? {};
    assert.ok(state !== 'completed' && state !== 'held', `claimed when ${state}`);
    assert.ok(leaseRemainingMs <= 0, 'two live owners');
    assert.ok(claim.fencingToken > (this.lastToken.get(request.id) ?? 0));
    this.lastToken.set(request.id, claim.fencingToken);
    assert.equal(claim.attempt, continues(before, request) ? before.attempt + 1 : 1);
  }
}

/** A released record without steps starts again when its content differs. */
function continues(
  before: RecordView | undefined,
  { fingerprint }: AcquireRequest,
): before is RecordView {
  if (before === undefined) return false;
  if (before.state !== 'released' || before.steps.size > 0) return true;
  return [before.fingerprint, ''].includes(fingerprint) || before.fingerprint === '';
}

/** A process's connection to the store. Once it is cut nothing comes through, either way. */
export class LedgerStore implements IdempotencyStore {
  private isCut = false;

  constructor(
    private readonly memory: MemoryStore,
    private readonly ledger: Ledger,
  ) {}

  cut(): void {
    this.isCut = true;
  }

  acquire(request: AcquireRequest): Awaitable<AcquireResult> {
    return this.through(() => this.ledger.acquire(request));
  }

  extend(request: ExtendRequest): Awaitable<boolean> {
    return this.through(() => this.memory.extend(request));
  }

  complete(request: CompleteRequest): Awaitable<boolean> {
    return this.through(() => this.memory.complete(request));
  }

  release(request: ReleaseRequest): Awaitable<boolean> {
    return this.through(() => this.memory.release(request));
  }

  hold(request: HoldRequest): Awaitable<boolean> {
    return this.through(() => this.memory.hold(request));
  }

  saveStep(request: SaveStepRequest): Awaitable<boolean> {
    return this.through(() => this.memory.saveStep(request));
  }

  find(id: string): Awaitable<RecordView | undefined> {
    return this.through(() => this.memory.find(id));
  }

  issue = (): never => unused();
  forget = (): never => unused();

  watch(id: string, onChange: () => void): () => void {
    return this.memory.watch(id, () => {
      if (!this.isCut) onChange();
    });
  }

  private through<T>(ask: () => T): Awaitable<T> {
    return this.isCut ? new Promise<T>(() => {}) : ask();
  }
}

function unused(): never {
  throw new Error('the engine does not use this');
}
