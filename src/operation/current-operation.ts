import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import { parseDuration } from '../engine/duration.js';
import type { Steps } from '../engine/store.js';
import type { OperationManager, OperationTransaction } from '../engine/transaction.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { IdempotentOperation } from './idempotent-operation.js';
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

  get tx(): OperationTransaction {
    return this.manager as OperationTransaction;
  }

  get manager(): OperationManager {
    const manager = this.claim?.manager;
    if (manager !== undefined) return manager;
    throw new Error('op.tx and op.manager need @Idempotent({ transaction: true }).');
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
    this.claim?.setTtl(parseDuration('setTtl()', ttl));
  }
}

/** Framed by their lengths, so that no two pairs give the same text. */
export function deriveKey(id: string, name: string): string {
  return createHash('sha256')
    .update(`derive:${id.length}:${id}:${name.length}:${name}`)
    .digest('hex');
}

/** A step that the current code is part of. */
interface StepRun {
  readonly steps: OperationSteps;
  readonly name: string;
  readonly outer: StepRun | undefined;
}

const stepRuns = new AsyncLocalStorage<StepRun>();

/** The steps of an operation. Each runs once across all attempts. */
class OperationSteps {
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(private readonly claim: Claim | undefined) {}

  async run<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    if (name.startsWith(RESERVED_STEP_PREFIX))
      throw new Error(`The name of a step must not begin with ${RESERVED_STEP_PREFIX}`);
    const saved = this.claim?.steps.get(name);
    if (saved !== undefined) return savedValue(saved) as T;
    // It would wait for itself.
    if (this.isRunningAround(name)) throw new Error('A step cannot contain itself.');
    // The same name is the same step, even if both are started at the same time.
    let step = this.running.get(name) as Promise<T> | undefined;
    if (step === undefined) {
      const outer = stepRuns.getStore();
      step = this.once(name, () => stepRuns.run({ steps: this, name, outer }, fn));
      this.running.set(name, step);
      step.catch(() => this.running.delete(name));
    }
    return step;
  }

  private async once<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    const { claim } = this;
    if (claim === undefined) return fn();
    // A process that was paused must not repeat what the next owner has done.
    if (!(await isConfirmed(claim))) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    const value = await fn();
    if (!(await claim.saveStep(name, await encoded(claim, value))))
      throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    return value;
  }

  private isRunningAround(name: string): boolean {
    for (let run = stepRuns.getStore(); run !== undefined; run = run.outer)
      if (run.steps === this && run.name === name) return true;
    return false;
  }
}

async function isConfirmed(claim: Claim): Promise<boolean> {
  try {
    return await claim.confirm();
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
  }
}

/**
 * The step's work cannot be undone and must not be repeated. Without its result, the operation is
 * held.
 */
async function encoded(claim: Claim, value: unknown): Promise<Uint8Array> {
  try {
    return serialize(value);
  } catch (error) {
    await claim.hold('the result of a step cannot be kept');
    throw error;
  }
}

/**
 * Names of internal values that are saved like finished steps, so that every attempt finds them.
 */
const RESERVED_STEP_PREFIX = 'idempotency:';
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
  return saved === undefined ? undefined : (savedValue(saved) as string);
}

async function save(claim: Claim, seed: string): Promise<void> {
  let isOurs: boolean;
  try {
    isOurs = await claim.saveStep(SEED_STEP, serialize(seed), { orFail: true });
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', { cause });
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

/**
 * Decodes the recorded result of a step.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE` for bytes that are not a
 *   value, such as those that were encrypted before encryption was switched off
 */
export function savedValue(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
  }
}
