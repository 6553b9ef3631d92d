import { AsyncLocalStorage } from 'node:async_hooks';
import { serialize } from 'node:v8';
import type { Claim } from '../engine/claim.js';
import { IdempotencyException } from './idempotency.exception.js';
import { RESERVED_STEP_PREFIX } from './operation-ids.js';
import { savedValue } from './saved-value.js';

/** A step that the present code is part of. */
interface StepRun {
  readonly steps: OperationSteps;
  readonly name: string;
  readonly outer: StepRun | undefined;
}

const stepRuns = new AsyncLocalStorage<StepRun>();

/** The steps of an operation, each run once over all attempts. */
export class OperationSteps {
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
