import { createHash, randomUUID } from 'node:crypto';
import type { Claim } from '../engine/claim.js';
import { parseDuration } from '../engine/duration.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { OperationManager } from '../engine/transaction.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { OperationIds } from './operation-ids.js';
import { OperationSteps } from './operation-steps.js';

/** What names an operation. */
export interface OperationIdentity {
  readonly key: string | undefined;
  readonly scope: string;
  readonly principal: string | undefined;
}

const NEVER_ABORTED = new AbortController().signal;

/** The operation as its handler sees it; without a claim when the call runs unprotected. */
export class CurrentOperation implements IdempotentOperation {
  readonly key: string | undefined;
  readonly scope: string;
  readonly principal: string | undefined;
  private readonly steps: OperationSteps;
  private readonly ids: OperationIds;
  private unprotectedSeed: string | undefined;

  constructor(
    identity: OperationIdentity,
    private readonly claim: Claim | undefined,
  ) {
    this.key = identity.key;
    this.scope = identity.scope;
    this.principal = identity.principal;
    this.steps = new OperationSteps(claim);
    this.ids = new OperationIds(claim);
  }

  get attempt(): number {
    return this.claim?.attempt ?? 1;
  }

  get fencingToken(): number {
    return this.claim?.fencingToken ?? 0;
  }

  get signal(): AbortSignal {
    return this.claim?.signal ?? NEVER_ABORTED;
  }

  get manager(): OperationManager {
    const manager = this.claim?.manager;
    if (manager !== undefined) return manager;
    throw new Error('op.manager is there only with @Idempotent({ transaction: true }).');
  }

  deriveKey(name: string): string {
    return deriveKey(this.claim?.id ?? (this.unprotectedSeed ??= randomUUID()), name);
  }

  id(name?: string): Promise<string> {
    return this.ids.id(name);
  }

  step<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    return this.steps.run(name, fn);
  }

  async hold(reason: string): Promise<void> {
    const settlement = await this.claim?.hold(reason);
    if (settlement?.outcome === 'lost') throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
  }

  setTtl(ttl: number | string): void {
    this.claim?.setRetention(parseDuration('setTtl()', ttl));
  }
}

/** Both parts are framed by their length, so that no two pairs look the same. */
export function deriveKey(id: string, name: string): string {
  return createHash('sha256')
    .update(`derive:${id.length}:${id}:${name.length}:${name}`)
    .digest('hex');
}
