import type { Claim } from './claim.js';
import { ConcludedClaim } from './concluded-claim.js';
import type { IdempotencyEngine } from './engine.js';
import { LayeredClaim } from './layered-claim.js';
import type { Beginning, OperationRequest, Refused } from './operation.js';
import type { Precondition, Unmet } from './resource.js';
import { TransactionalClaim } from './transactional-claim.js';
import { WorkClaim } from './work-claim.js';

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
  const claim = together(claims);
  return claim === undefined ? { outcome: 'unprotected' } : prepare(engine, claim, layers);
}

async function begin(
  engine: IdempotencyEngine,
  claims: readonly Claim[],
  layer: OperationRequest,
): Promise<Beginning> {
  try {
    return await engine.begin(layer);
  } catch (error) {
    await together(claims)?.release();
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
  const outer = together(claims);
  if (beginning.outcome !== 'replay') {
    await outer?.release();
    return beginning;
  }
  const settlement = await outer?.complete(beginning.reply);
  return settlement?.outcome === 'undone'
    ? engine.refuse(layer, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause: settlement.cause })
    : beginning;
}

async function prepare(
  engine: IdempotencyEngine,
  claimed: Claim,
  layers: readonly OperationRequest[],
): Promise<Beginning> {
  const preconditions = layers.flatMap(({ precondition }) => precondition ?? []);
  if (preconditions.length === 0) return { outcome: 'execute', claim: claimed };
  let claim = claimed;
  let failed: OperationRequest = layers[0]!;
  try {
    claim = await withTransaction(claimed, preconditions);
    for (const layer of layers) {
      failed = layer;
      const unmet = await claim.run(() => layer.precondition?.check());
      if (unmet === undefined) continue;
      await claim.release();
      return refuse(engine, layer, unmet);
    }
  } catch (cause) {
    await claim.release();
    return engine.refuse(failed, 'IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
  }
  return { outcome: 'execute', claim: new ConcludedClaim(claim, preconditions) };
}

/** What is compared and set belongs to the work: both are in the store's transaction, or their own. */
async function withTransaction(
  claim: Claim,
  preconditions: readonly Precondition[],
): Promise<Claim> {
  const transactions = preconditions.find((one) => one.transactions)?.transactions;
  return transactions === undefined || claim.manager !== undefined
    ? claim
    : new WorkClaim(claim, await transactions.begin());
}

function refuse(engine: IdempotencyEngine, layer: OperationRequest, unmet: Unmet): Refused {
  return engine.refuse(layer, unmet.code, { unmet });
}

function together(claims: readonly Claim[]): Claim | undefined {
  return claims.length === 0
    ? undefined
    : claims.reduceRight((within, outer) => new LayeredClaim(outer, within));
}
