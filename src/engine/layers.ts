import type { Claim, LastDecision, SaveStepOptions, Settlement } from './claim.js';
import type { Awaitable } from './awaitable.js';
import type { IdempotencyEngine } from './engine.js';
import type { Beginning, OperationRequest } from './operation.js';
import type { Precondition, WorkTransaction } from './resource.js';
import type { Steps } from './store.js';
import type { OperationManager } from './transaction.js';
import { TransactionalClaim } from './transactional-claim.js';

/**
 * Begins an operation of several layers, outermost first, or one with preconditions. The work runs
 * if every layer has claimed its record and no precondition refuses. If a layer has another answer,
 * that is the answer of all layers, and every claim is settled.
 */
export async function beginLayers(
  engine: IdempotencyEngine,
  layers: readonly OperationRequest[],
): Promise<Beginning> {
  const claims: Claim[] = [];
  for (const layer of layers) {
    const within = claims.find((claim) => claim instanceof TransactionalClaim);
    const beginning = await begin(engine, claims, { ...layer, within });
    if (beginning.outcome === 'unprotected') continue;
    if (beginning.outcome !== 'execute') return end(engine, claims, layer, beginning);
    // A record that joined a transaction shares the claim of that transaction.
    if (beginning.claim !== within) claims.push(beginning.claim);
  }
  return claims.length === 0 ? { outcome: 'unprotected' } : prepare(engine, claims, layers);
}

async function begin(
  engine: IdempotencyEngine,
  claims: readonly Claim[],
  layer: OperationRequest,
): Promise<Beginning> {
  try {
    return await engine.begin(layer);
  } catch (error) {
    await new LayeredClaim(claims).withdraw();
    throw error;
  }
}

/** An inner layer already has its answer. The outer ones record the same reply, or are released. */
async function end(
  engine: IdempotencyEngine,
  claims: readonly Claim[],
  layer: OperationRequest,
  beginning: Exclude<Beginning, { outcome: 'execute' }>,
): Promise<Beginning> {
  const outer = new LayeredClaim(claims);
  if (beginning.outcome !== 'replay') {
    await outer.withdraw();
    return beginning;
  }
  const settlement = await outer.complete(beginning.reply);
  if (settlement.outcome !== 'undone' && settlement.outcome !== 'failed') return beginning;
  if (settlement.outcome === 'failed') await outer.withdraw();
  const cause = settlement.outcome === 'failed' ? settlement.error : settlement.cause;
  return engine.refuse(layer, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
}

/** Checks the preconditions, in the transaction in which the work will run. */
async function prepare(
  engine: IdempotencyEngine,
  claims: readonly Claim[],
  layers: readonly OperationRequest[],
): Promise<Beginning> {
  const preconditions = layers.flatMap(({ precondition }) => precondition ?? []);
  if (preconditions.length === 0) {
    const claim = claims.length === 1 ? claims[0]! : new LayeredClaim(claims);
    return { outcome: 'execute', claim };
  }
  let claim = new LayeredClaim(claims);
  let failed = layers[0]!;
  try {
    claim = new LayeredClaim(claims, preconditions, await transactionOf(claim, preconditions));
    for (const layer of layers) {
      failed = layer;
      const unmet = await claim.run(() => layer.precondition?.check());
      if (unmet === undefined) continue;
      await claim.withdraw();
      return engine.refuse(layer, unmet.code, { unmet });
    }
  } catch (cause) {
    await claim.withdraw();
    return engine.refuse(failed, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
  }
  return { outcome: 'execute', claim };
}

/**
 * Rows that are compared and set belong to the work: both are in the store's transaction, or in one
 * of their own.
 */
async function transactionOf(
  claim: Claim,
  preconditions: readonly Precondition[],
): Promise<WorkTransaction | undefined> {
  if (claim.manager !== undefined) return undefined;
  return preconditions.find(({ transactions }) => transactions)?.transactions?.begin();
}

/**
 * The claims of all layers for one run of the work, and its preconditions and transaction. Its id
 * and attempt are those of the outermost layer that keeps a reply. The fencing token is the lock's,
 * because the lock is what excludes others.
 */
class LayeredClaim implements Claim {
  private readonly known: Claim;
  private readonly innermostFirst: readonly Claim[];
  private allSignals: AbortSignal | undefined;
  private completing: Promise<Settlement> | undefined;

  /**
   * @param claims outermost first
   * @param preconditions those that may still refuse after the work has succeeded
   * @param work the work's own transaction, which contains no record. If the process dies after
   *   it and before the record, the work is done but no reply is on record
   */
  constructor(
    private readonly claims: readonly Claim[],
    private readonly preconditions: readonly Precondition[] = [],
    private readonly work?: WorkTransaction,
  ) {
    this.known = claims.find(({ keepsReply }) => keepsReply) ?? claims.at(-1)!;
    this.innermostFirst = claims.toReversed();
  }

  get id(): string {
    return this.known.id;
  }

  get attempt(): number {
    return this.known.attempt;
  }

  get fencingToken(): number {
    return (this.claims.find(({ keepsReply }) => !keepsReply) ?? this.known).fencingToken;
  }

  get ifFails(): LastDecision | undefined {
    return this.known.ifFails;
  }

  get steps(): Steps {
    return this.known.steps;
  }

  get keepsReply(): boolean {
    return this.known.keepsReply;
  }

  get isRunning(): boolean {
    return this.claims.every(({ isRunning }) => isRunning);
  }

  get signal(): AbortSignal {
    return (this.allSignals ??= AbortSignal.any(this.claims.map(({ signal }) => signal)));
  }

  get manager(): OperationManager | undefined {
    return (
      this.work?.manager ??
      this.innermostFirst.find(({ manager }) => manager !== undefined)?.manager
    );
  }

  async confirm(): Promise<boolean> {
    for (const claim of this.claims) if (!(await claim.confirm())) return false;
    return true;
  }

  handOver(): void {
    this.known.handOver();
  }

  isConflict(error: unknown): boolean {
    const own = this.work && this.preconditions.find(({ transactions }) => transactions);
    return (
      own?.transactions?.failureOf?.(error) === 'conflict' ||
      this.claims.some((claim) => claim.isConflict?.(error) === true)
    );
  }

  get hasReachedOut(): boolean {
    return this.claims.some(({ hasReachedOut }) => hasReachedOut === true);
  }

  reachOut(): void {
    for (const claim of this.claims) claim.reachOut?.();
  }

  get checkWork(): Claim['checkWork'] {
    const checking = this.innermostFirst.find(({ checkWork }) => checkWork !== undefined);
    return checking && (() => checking.checkWork!());
  }

  run<T>(work: () => T): T {
    const { work: transaction } = this;
    const inTransaction = transaction === undefined ? work : () => transaction.run(work);
    return this.innermostFirst.reduce((within, claim) => () => claim.run(within), inTransaction)();
  }

  setTtl(ttlMs: number): void {
    for (const claim of this.claims) claim.setTtl(ttlMs);
  }

  saveStep(name: string, value: Uint8Array, options?: SaveStepOptions): Awaitable<boolean> {
    return this.known.saveStep(name, value, options);
  }

  /**
   * The work has succeeded: its preconditions conclude, its own transaction commits, and then the
   * records are settled.
   */
  complete(reply: Uint8Array): Promise<Settlement> {
    return (this.completing = this.conclude(reply));
  }

  private async conclude(reply: Uint8Array): Promise<Settlement> {
    try {
      for (const precondition of this.preconditions)
        await this.run(() => precondition.conclude?.());
    } catch (cause) {
      await this.release();
      return { outcome: 'undone', cause, why: 'undone' };
    }
    // If a claim was lost, work that is not committed yet is undone, because another owner may be
    // running.
    if (this.isInTransaction && this.signal.aborted) {
      await this.release();
      return { outcome: 'lost' };
    }
    try {
      await this.work?.commit();
    } catch (cause) {
      const beginner = this.preconditions.find(({ transactions }) => transactions)?.transactions;
      const failure = beginner?.failureOf?.(cause) ?? 'unknown';
      if (failure === 'work') return { outcome: 'failed', error: cause };
      await this.releaseRecords();
      return { outcome: 'undone', cause, why: failure };
    }
    return this.settleRecords((claim) => claim.complete(reply));
  }

  /** The work has failed: what it wrote in a transaction is undone, and its reply is kept. */
  async fail(reply: Uint8Array): Promise<Settlement> {
    await this.work?.rollback();
    return this.settleRecords((claim) => claim.fail(reply));
  }

  async release(): Promise<void> {
    await this.work?.rollback();
    await this.releaseRecords();
  }

  async withdraw(): Promise<void> {
    await this.work?.rollback();
    for (const claim of this.innermostFirst) await claim.withdraw();
  }

  /**
   * A row that was compared and set belongs to the end of the operation. It must not stay set while the
   * operation goes on, so with preconditions everything is undone.
   */
  async giveBack(): Promise<void> {
    if (this.preconditions.length > 0) return this.withdraw();
    for (const claim of this.innermostFirst) await claim.giveBack();
  }

  async takeBack(): Promise<void> {
    if (this.isRunning) return;
    const { outcome } = (await this.completing) ?? {};
    if (outcome === undefined || outcome === 'undone' || outcome === 'failed') return;
    if (this.preconditions.length > 0)
      throw new Error('The row that the operation compared and set has its new value for good.');
    for (const claim of this.innermostFirst) await claim.takeBack();
  }

  async hold(reason: string, error?: unknown): Promise<Settlement> {
    await this.work?.rollback();
    let settlement: Settlement = { outcome: 'stored' };
    for (const claim of this.innermostFirst) settlement = await claim.hold(reason, error);
    return settlement;
  }

  /** From the inside out: the outer records end as the inner one did. */
  private async settleRecords(
    settle: (claim: Claim) => Awaitable<Settlement>,
  ): Promise<Settlement> {
    let settlement: Settlement = { outcome: 'stored' };
    let hasLostRecord = false;
    for (const claim of this.innermostFirst) {
      switch (settlement.outcome) {
        case 'stored':
        case 'deferred':
          settlement = await settle(claim);
          hasLostRecord = settlement.outcome === 'lost' && claim.keepsReply;
          break;
        case 'unrecorded':
          // What the outer records say does not put the inner one on record.
          await settle(claim);
          break;
        case 'superseded':
          await claim.complete(settlement.reply);
          break;
        case 'lost': {
          if (hasLostRecord) {
            await claim.release();
            break;
          }
          // A lost lock does not undo what was done. Other calls learn about it from the record.
          const own = await settle(claim);
          hasLostRecord = own.outcome === 'lost' && claim.keepsReply;
          if (own.outcome === 'superseded' || own.outcome === 'undone') settlement = own;
          break;
        }
        case 'undone':
          await claim.release();
          break;
        // What happens to the records is decided next, for all of them.
        case 'failed':
          break;
      }
    }
    return settlement;
  }

  private async releaseRecords(): Promise<void> {
    for (const claim of this.innermostFirst) await claim.release();
  }

  private get isInTransaction(): boolean {
    return this.work !== undefined || this.manager !== undefined;
  }
}
