import type { Claim, Settlement } from './claim.js';
import type { EventSink, OwnersEvent } from './events.js';
import type { LocalCall } from './local-call.js';
import type { OperationRequest } from './operation.js';
import { rollBack } from './roll-back.js';
import type { Acquired, ClaimRef, Steps } from './store.js';
import type { StoreCalls } from './store-calls.js';
import type { OperationManager, StoreTransaction } from './transaction.js';

const NEVER_ABORTED = new AbortController().signal;

/** What a claim needs of the engine. */
export interface TransactionalClaimSurroundings {
  readonly calls: StoreCalls;
  readonly clock: { now(): number };
  readonly events: EventSink;
  closed(id: string, local: LocalCall): void;
}

/**
 * The owner's side of an operation whose record and work are one transaction. The row's lock is
 * its lease: it needs no renewal, and a process that dies leaves nothing behind.
 */
export class TransactionalClaim implements Claim {
  readonly id: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly steps: Steps;
  readonly signal: AbortSignal = NEVER_ABORTED;
  readonly manager: OperationManager;
  private readonly claim: ClaimRef;
  private handlerStartedAtMs: number;
  private phase: 'running' | 'ended' = 'running';
  private retentionMs: number;

  constructor(
    private readonly around: TransactionalClaimSurroundings,
    private readonly local: LocalCall,
    private readonly request: OperationRequest,
    private readonly transaction: StoreTransaction,
    owner: string,
    acquired: Acquired,
  ) {
    this.id = request.id;
    this.attempt = acquired.attempt;
    this.fencingToken = acquired.fencingToken;
    this.steps = acquired.steps;
    this.manager = transaction.manager;
    this.claim = { id: request.id, owner };
    this.handlerStartedAtMs = around.clock.now();
    this.retentionMs = request.policy.retentionMs;
  }

  get isRunning(): boolean {
    return this.phase === 'running';
  }

  handOver(): void {
    this.handlerStartedAtMs = this.around.clock.now();
  }

  setRetention(retentionMs: number): void {
    this.retentionMs = retentionMs;
  }

  run<T>(work: () => T): T {
    return this.transaction.run(work);
  }

  complete(reply: Uint8Array): Promise<Settlement> {
    return this.settle({ type: 'stored' }, reply, () => this.writeReply(reply));
  }

  fail(reply: Uint8Array): Promise<Settlement> {
    return this.settle({ type: 'stored' }, reply, async () => {
      await this.transaction.undoWork();
      return this.writeReply(reply);
    });
  }

  async release(): Promise<void> {
    this.startSettling();
    await rollBack(this.around.calls, this.transaction);
    this.emit({ type: 'released' });
    this.end();
  }

  hold(reason: string): Promise<Settlement> {
    return this.settle({ type: 'held', reason }, undefined, async () => {
      await this.transaction.undoWork();
      return this.transaction.hold({ ...this.claim, reason });
    });
  }

  saveStep(name: string, value: Uint8Array): Promise<boolean> {
    return this.transaction.saveStep({ ...this.claim, name, value });
  }

  private writeReply(reply: Uint8Array): Promise<boolean> {
    return this.transaction.complete({ ...this.claim, reply, retentionMs: this.retentionMs });
  }

  /**
   * Writes the end of the operation and commits: all of it is there, or nothing. When the database
   * does not answer in time, which of both is decided there, and a retry finds out.
   */
  private async settle(
    event: OwnersEvent,
    reply: Uint8Array | undefined,
    write: () => Promise<boolean>,
  ): Promise<Settlement> {
    this.startSettling();
    try {
      await this.around.calls.call(() => this.commit(write));
    } catch (cause) {
      this.emit({ type: 'released' });
      this.end();
      return { outcome: 'undone', cause };
    }
    if (reply !== undefined) this.local.reply(reply);
    this.emit(event);
    this.end();
    return { outcome: 'stored' };
  }

  private async commit(write: () => Promise<boolean>): Promise<void> {
    try {
      if (!(await write())) throw new Error('The record is not in the transaction any more.');
      await this.transaction.commit();
    } catch (cause) {
      await this.transaction.rollback();
      throw cause;
    }
  }

  private startSettling(): void {
    this.phase = 'ended';
    const durationMs = this.around.clock.now() - this.handlerStartedAtMs;
    this.emit({ type: 'executed', durationMs });
  }

  private emit(facts: OwnersEvent): void {
    if (!this.around.events.hasListeners) return;
    const { scope, id } = this.request;
    this.around.events.emit({ ...facts, scope, id, attempt: this.attempt });
  }

  private end(): void {
    this.around.closed(this.id, this.local);
    this.local.end();
  }
}
