import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import { parseDuration } from '../engine/duration.js';
import type { Steps } from '../engine/store.js';
import type { OperationManager } from '../engine/transaction.js';
import { IdempotencyException } from './idempotency.exception.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { siblingOf, uuidV7 } from './uuid-v7.js';

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
    this.claim?.setTtl(parseDuration('setTtl()', ttl));
  }
}

/** Both parts are framed by their length, so that no two pairs look the same. */
export function deriveKey(id: string, name: string): string {
  return createHash('sha256')
    .update(`derive:${id.length}:${id}:${name.length}:${name}`)
    .digest('hex');
}

/** A step that the present code is part of. */
interface StepRun {
  readonly steps: OperationSteps;
  readonly name: string;
  readonly outer: StepRun | undefined;
}

const stepRuns = new AsyncLocalStorage<StepRun>();

/** The steps of an operation, each run once over all attempts. */
class OperationSteps {
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(private readonly claim: Claim | undefined) {}

  async run<T>(name: string, fn: () => T | PromiseLike<T>): Promise<T> {
    if (name.startsWith(RESERVED_STEP_PREFIX))
      throw new Error(`Names of steps do not begin with ${RESERVED_STEP_PREFIX}`);
    const saved = this.claim?.steps.get(name);
    if (saved !== undefined) return savedValue(saved) as T;
    // It would wait for its own end.
    if (this.isRunningAround(name)) throw new Error('A step cannot contain itself.');
    // A name that is repeated, even at the same time, is one step.
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
    // A process that was paused must not do what its successor has done.
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

/** What the step did cannot be undone, and must not be repeated: without its result, it is held. */
async function encoded(claim: Claim, value: unknown): Promise<Uint8Array> {
  try {
    return serialize(value);
  } catch (error) {
    await claim.hold('the result of a step cannot be kept');
    throw error;
  }
}

/** What is kept like a finished step, so that every attempt finds it, without being one. */
const RESERVED_STEP_PREFIX = 'idempotency:';
const SEED_STEP = `${RESERVED_STEP_PREFIX}id`;
const UUID_LENGTH = 36;
const SECRET_BYTES = 16;

/**
 * The ids of an operation. All come from one seed, which is saved before any is handed out: an id
 * that was used and then forgotten would let the next attempt insert once more. The seed itself never
 * leaves, so that whoever has been shown one id cannot compute another.
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
    // The same at every try: one that seemed to fail may still reach the store.
    this.seed ??= (claim && savedSeed(claim.steps)) ?? newSeed();
    // What a transaction undoes it undoes with the id: there is no attempt that would need it.
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

/** The id of this name; `undefined` when no attempt has asked for any. */
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

/** When the operation asked first, as a UUIDv7, and the secret that all ids are made with. */
function newSeed(): string {
  return uuidV7() + randomBytes(SECRET_BYTES).toString('hex');
}

function idNamed(seed: string, name: string): string {
  const secret = seed.slice(UUID_LENGTH);
  return siblingOf(seed, createHmac('sha256', secret).update(name).digest());
}

/**
 * The result of a step, as it is on record.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE` for bytes that are none, such as
 * those that were sealed before encryption was switched off
 */
export function savedValue(bytes: Uint8Array): unknown {
  try {
    return deserialize(bytes);
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
  }
}
