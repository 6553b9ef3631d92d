import { createHash, randomUUID } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import { parseDuration } from '../engine/duration.js';
import { IdempotencyException } from '../idempotency.exception.js';
import type { OperationManager } from '../engine/transaction.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { OperationIds } from './operation-ids.js';

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
  private readonly running = new Map<string, Promise<unknown>>();
  private readonly ids: OperationIds;
  private unprotectedSeed: string | undefined;

  constructor(
    identity: OperationIdentity,
    private readonly claim: Claim | undefined,
  ) {
    this.key = identity.key;
    this.scope = identity.scope;
    this.principal = identity.principal;
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

  async step<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    const saved = this.claim?.steps.get(name);
    if (saved !== undefined) return deserialize(saved) as T;
    // A name that is repeated, even at the same time, is one step.
    let step = this.running.get(name) as Promise<T> | undefined;
    if (step === undefined) {
      step = this.runStep(name, fn);
      this.running.set(name, step);
      step.catch(() => this.running.delete(name));
    }
    return step;
  }

  async hold(reason: string): Promise<void> {
    const settlement = await this.claim?.hold(reason);
    if (settlement?.outcome === 'lost') throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
  }

  setTtl(ttl: number | string): void {
    this.claim?.setRetention(parseDuration('setTtl()', ttl));
  }

  private async runStep<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    const { claim } = this;
    if (claim === undefined) return fn();
    // A process that was paused must not do what its successor has done.
    if (!(await isConfirmed(claim))) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    const value = await fn();
    if (!(await claim.saveStep(name, await encodedStep(claim, value))))
      throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    return value;
  }
}

async function isConfirmed(claim: Claim): Promise<boolean> {
  try {
    return await claim.confirm();
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
  }
}

/** What the step did cannot be undone, and must not be repeated: without its result, it is held. */
async function encodedStep(claim: Claim, value: unknown): Promise<Uint8Array> {
  try {
    return serialize(value);
  } catch (error) {
    await claim.hold('the result of a step cannot be kept');
    throw error;
  }
}

/** Both parts are framed by their length, so that no two pairs look the same. */
export function deriveKey(id: string, name: string): string {
  return createHash('sha256')
    .update(`derive:${id.length}:${id}:${name.length}:${name}`)
    .digest('hex');
}
