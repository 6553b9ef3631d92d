import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import { parseDuration } from '../engine/duration.js';
import { NOT_CONTINUED } from '../engine/refusals.js';
import type { Steps } from '../engine/store.js';
import type { OperationManager, OperationTransaction } from '../engine/transaction.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { IdempotentOperation, StepOptions } from './idempotent-operation.js';
import type { NotKeptWarnings } from './not-kept-warnings.js';
import { OperationSteps, RESERVED_STEP_PREFIX, type StepForm } from './steps.js';
import { siblingOf, uuidV7 } from './uuid-v7.js';

/** The identity of an operation. */
export interface OperationIdentity {
  readonly key: string | undefined;
  readonly scope: string;
  readonly principal: string | undefined;
}

const NEVER_ABORTED = new AbortController().signal;

/** The operation as its handler sees it. Without a claim, the call runs unprotected. */
export class CurrentOperation implements IdempotentOperation {
  readonly key: string | undefined;
  readonly scope: string;
  readonly principal: string | undefined;
  /** Made when the handler asks for one. */
  private steps: OperationSteps | undefined;
  private ids: OperationIds | undefined;
  private unprotectedSeed: string | undefined;

  constructor(
    identity: OperationIdentity,
    private readonly claim: Claim | undefined,
    private readonly form: StepForm,
    private readonly warnings: NotKeptWarnings,
  ) {
    this.key = identity.key;
    this.scope = identity.scope;
    this.principal = identity.principal;
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

  get tx(): OperationTransaction {
    return this.manager as OperationTransaction;
  }

  get manager(): OperationManager {
    const manager = this.claim?.manager;
    if (manager !== undefined) return manager;
    throw new Error('op.tx and op.manager need @Idempotent({ transaction: true }).');
  }

  deriveKey(name: string): string {
    this.claim?.reachOut?.();
    return deriveKey(this.claim?.id ?? (this.unprotectedSeed ??= randomUUID()), name);
  }

  id(name?: string): Promise<string> {
    return (this.ids ??= new OperationIds(this.claim)).id(name);
  }

  step<T>(name: string, fn: () => T | PromiseLike<T>, options?: StepOptions): Promise<T> {
    this.claim?.reachOut?.();
    const steps = (this.steps ??= new OperationSteps(this.claim, this.form, this.warnings));
    return steps.run(name, fn, options);
  }

  async hold(reason: string): Promise<void> {
    const settlement = await this.claim?.hold(reason);
    if (settlement?.outcome === 'lost') throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
  }

  setTtl(ttl: number | string): void {
    this.claim?.setTtl(parseDuration('setTtl()', ttl));
  }
}

/** Framed by their lengths, so that no two pairs give the same text. */
export function deriveKey(id: string, name: string): string {
  return createHash('sha256')
    .update(`derive:${id.length}:${id}:${name.length}:${name}`)
    .digest('hex');
}

const SEED_STEP = `${RESERVED_STEP_PREFIX}id`;
const UUID_LENGTH = 36;
const SECRET_BYTES = 16;

/**
 * The ids of an operation. All come from one seed, which is saved before any id is returned: if an
 * id were used and then forgotten, the next attempt would insert again. The seed itself is never
 * shown, so nobody can compute one id from another.
 */
class OperationIds {
  private seed: string | undefined;
  private saving: Promise<string> | undefined;

  constructor(private readonly claim: Claim | undefined) {}

  async id(name = ''): Promise<string> {
    return idNamed(await (this.saving ??= this.savedSeed()), name);
  }

  private async savedSeed(): Promise<string> {
    const { claim } = this;
    // The same at every try, because one that seemed to fail may still reach the store.
    this.seed ??= (claim && savedSeed(claim.steps)) ?? newSeed();
    // If a transaction is undone, so is everything that used the id, and no later attempt needs it.
    if (claim === undefined || claim.manager !== undefined || claim.steps.has(SEED_STEP))
      return this.seed;
    try {
      await save(claim, this.seed);
    } catch (error) {
      this.saving = undefined;
      throw error;
    }
    return this.seed;
  }
}

/** The id with this name; `undefined` if no attempt asked for one. */
export function savedId(steps: Steps, name = ''): string | undefined {
  const seed = savedSeed(steps);
  return seed === undefined ? undefined : idNamed(seed, name);
}

function savedSeed(steps: Steps): string | undefined {
  const saved = steps.get(SEED_STEP);
  return saved === undefined ? undefined : readSeed(saved);
}

/** Kept by V8, as in all versions, so that processes of two versions read each other's. */
function readSeed(saved: Uint8Array): string {
  try {
    return deserialize(saved) as string;
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
  }
}

async function save(claim: Claim, seed: string): Promise<void> {
  let isOurs: boolean;
  try {
    isOurs = await claim.saveStep(SEED_STEP, serialize(seed), { orFail: true });
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', {
      cause,
      detail: NOT_CONTINUED,
    });
  }
  if (!isOurs) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
}

/** The moment of the first request, as a UUIDv7, and the secret from which all ids are made. */
function newSeed(): string {
  return uuidV7() + randomBytes(SECRET_BYTES).toString('hex');
}

function idNamed(seed: string, name: string): string {
  const secret = seed.slice(UUID_LENGTH);
  return siblingOf(seed, createHmac('sha256', secret).update(name).digest());
}
