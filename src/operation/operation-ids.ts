import { createHmac, randomBytes } from 'node:crypto';
import { serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import type { Steps } from '../engine/store.js';
import { IdempotencyException } from './idempotency.exception.js';
import { savedValue } from './saved-value.js';
import { siblingOf, uuidV7 } from './uuid-v7.js';

/** What is kept like a finished step, so that every attempt finds it, without being one. */
export const RESERVED_STEP_PREFIX = 'idempotency:';
const SEED_STEP = `${RESERVED_STEP_PREFIX}id`;
const UUID_LENGTH = 36;
const SECRET_BYTES = 16;

/**
 * The ids of an operation. All come from one seed, which is saved before any is handed out: an id
 * that was used and then forgotten would let the next attempt insert once more. The seed itself never
 * leaves, so that whoever has been shown one id cannot compute another.
 */
export class OperationIds {
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
