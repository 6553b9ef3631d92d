import type { Claim, SaveStepOptions, Settlement } from './claim.js';
import type { Awaitable } from './awaitable.js';
import type { IdempotencyEngine } from './engine.js';
import type { Beginning, OperationRequest } from './operation.js';
import type { Precondition, WorkTransaction } from './resource.js';
import type { Steps } from './store.js';
import type { OperationManager } from './transaction.js';
import { TransactionalClaim } from './transactional-claim.js';

/**
 * Begins an operation of several layers, outermost first, or one with preconditions. The work
 * runs when every layer has claimed its record and no precondition objects; whatever else comes
 * of a layer is the answer of all, and no claim is left behind.
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
    // A record that has joined a transaction has the claim of that transaction.
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
    await new LayeredClaim(claims).release();
    throw error;
  }
}

/** An inner layer has its answer already: the outer ones take it over, or are given back. */
async function end(
  engine: IdempotencyEngine,
  claims: readonly Claim[],
  layer: OperationRequest,
  beginning: Exclude<Beginning, { outcome: 'execute' }>,
): Promise<Beginning> {
  const outer = new LayeredClaim(claims);
  if (beginning.outcome !== 'replay') {
    await outer.release();
    return beginning;
  }
  const settlement = await outer.complete(beginning.reply);
  return settlement.outcome === 'undone'
    ? engine.refuse(layer, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause: settlement.cause })
    : beginning;
}

/** Asks the preconditions, in the transaction in which the work is going to run. */
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
      await claim.release();
      return engine.refuse(layer, unmet.code, { unmet });
    }
  } catch (cause) {
    await claim.release();
    return engine.refuse(failed, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
  }
  return { outcome: 'execute', claim };
}

/** What is compared and set belongs to the work: both are in the store's transaction, or their own. */
async function transactionOf(
  claim: Claim,
  preconditions: readonly Precondition[],
): Promise<WorkTransaction | undefined> {
  if (claim.manager !== undefined) return undefined;
  return preconditions.find(({ transactions }) => transactions)?.transactions?.begin();
}

/**
 * The claims of all layers for one run of the work, with what else ends when it ends. It is known
 * by the outermost one that keeps its reply; a lock is there to exclude others, so the fencing
 * token is the lock's.
 */
class LayeredClaim implements Claim {
  private readonly known: Claim;
  private readonly innermostFirst: readonly Claim[];
  private allSignals: AbortSignal | undefined;

  /**
   * @param claims outermost first
   * @param preconditions that have a last word when the work has succeeded
   * @param work the work's own transaction, which no record is part of. A process that dies between
   *   its end and the record's leaves work that is done, and no reply on record
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
   * The work has succeeded: its preconditions say their last word, its own transaction commits, and
   * then the records are settled.
   */
  async complete(reply: Uint8Array): Promise<Settlement> {
    try {
      for (const precondition of this.preconditions)
        await this.run(() => precondition.conclude?.());
    } catch (cause) {
      await this.release();
      return { outcome: 'undone', cause };
    }
    // Work that is not committed yet is undone when a claim was lost: somebody else is at it.
    if (this.isInTransaction && this.signal.aborted) {
      await this.release();
      return { outcome: 'lost' };
    }
    try {
      await this.work?.commit();
    } catch (cause) {
      await this.releaseRecords();
      return { outcome: 'undone', cause };
    }
    return this.settleRecords((claim) => claim.complete(reply));
  }

  /** The work has failed: what it wrote in a transaction is undone, its reply is kept. */
  async fail(reply: Uint8Array): Promise<Settlement> {
    await this.work?.rollback();
    return this.settleRecords((claim) => claim.fail(reply));
  }

  async release(): Promise<void> {
    await this.work?.rollback();
    await this.releaseRecords();
  }

  async hold(reason: string): Promise<Settlement> {
    await this.work?.rollback();
    let settlement: Settlement = { outcome: 'stored' };
    for (const claim of this.innermostFirst) settlement = await claim.hold(reason);
    return settlement;
  }

  /** From the inside out: what an inner record ended with is what those around it have to tell. */
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
        case 'superseded':
          await claim.complete(settlement.reply);
          break;
        case 'lost':
          // A lock that was lost does not undo what was done: others are told by the record.
          await (hasLostRecord ? claim.release() : settle(claim));
          break;
        case 'undone':
          await claim.release();
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
