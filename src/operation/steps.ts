import { AsyncLocalStorage } from 'node:async_hooks';
import type { Claim } from '../engine/claim.js';
import { NOT_CONTINUED } from '../engine/refusals.js';
import { NotKeepableError, notKeepable, shownStep } from '../replies/not-keepable.js';
import { clone, decodeValue, encodeValue, type ReplyValues } from '../replies/values.js';
import { IdempotencyException, isIdempotencyError } from './idempotency.exception.js';
import type { StepOptions } from './idempotent-operation.js';
import type { NotKeptWarnings } from './not-kept-warnings.js';
import { withReturned } from './returned-classes.js';

/** How the results of steps are kept, and whose steps they are. */
export interface StepForm {
  /** What runs them, for warnings: `ClassName.methodName`. */
  readonly name: string;
  readonly values: ReplyValues;
}

/**
 * Names of internal values that are saved like finished steps, so that every attempt finds them.
 */
export const RESERVED_STEP_PREFIX = 'idempotency:';

/**
 * Layout of a step's result: a value (`replies/values.ts`), or one byte that says that the step has
 * finished and its result was not kept. Versions before this layout wrote a structured clone, which
 * V8 begins with a byte of its own.
 */
const NOT_KEPT: Uint8Array = Buffer.from([0]);
const V8_CLONE = 0xff;

const TOO_LARGE = new NotKeepableError(undefined, 'larger than the store takes');

/** A step that the current code is part of. */
interface StepRun {
  readonly steps: OperationSteps;
  readonly name: string;
  readonly outer: StepRun | undefined;
}

const stepRuns = new AsyncLocalStorage<StepRun>();

/** The steps of an operation. Each runs once across all attempts. */
export class OperationSteps {
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(
    private readonly claim: Claim | undefined,
    private readonly form: StepForm,
    private readonly warnings: NotKeptWarnings,
  ) {}

  async run<T>(name: string, fn: () => T | PromiseLike<T>, options?: StepOptions): Promise<T> {
    if (name.startsWith(RESERVED_STEP_PREFIX))
      throw new Error(`The name of a step must not begin with ${RESERVED_STEP_PREFIX}`);
    const values = valuesOf(name, this.form.values, options);
    const saved = this.claim?.steps.get(name);
    if (saved !== undefined) return this.saved(name, saved, values) as Promise<T>;
    // It would wait for itself.
    if (this.isRunningAround(name)) throw new Error('A step cannot contain itself.');
    // The same name is the same step, even if both are started at the same time.
    let step = this.running.get(name) as Promise<T> | undefined;
    if (step === undefined) {
      const outer = stepRuns.getStore();
      step = this.once(name, () => stepRuns.run({ steps: this, name, outer }, fn), values);
      this.running.set(name, step);
      step.catch(() => this.running.delete(name));
    }
    return step;
  }

  private async once<T>(
    name: string,
    fn: () => T | PromiseLike<T>,
    values: ReplyValues,
  ): Promise<T> {
    const { claim } = this;
    if (claim === undefined) return fn();
    // A process that was paused must not repeat what the next owner has done.
    if (!(await isConfirmed(claim))) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    const value = await fn();
    // A lock remembers no steps.
    const bytes = claim.keepsReply ? this.encoded(name, value, values) : NOT_KEPT;
    const used = (): void => this.warnings.ofStep(this.form.name, name, TOO_LARGE);
    if (!(await claim.saveStep(name, bytes, { tombstone: { value: NOT_KEPT, used } })))
      throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    return value;
  }

  /** The step's work was done, so it does not run again, whatever it returned. */
  private encoded(name: string, value: unknown, values: ReplyValues): Uint8Array {
    try {
      return encodeValue(value, values);
    } catch (error) {
      this.warnings.ofStep(this.form.name, name, notKeepable(error));
      return NOT_KEPT;
    }
  }

  /** What an earlier attempt has saved. Without it, this attempt cannot go on. */
  private async saved(name: string, bytes: Uint8Array, values: ReplyValues): Promise<unknown> {
    try {
      return stepResult(bytes, values);
    } catch (error) {
      if (isResultNotKept(error))
        await this.claim?.hold(`the result of ${shownStep(name)} was not kept`);
      else this.warnings.unreadableStep(this.form.name, name, causeOf(error));
      throw error;
    }
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
    throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', {
      cause,
      detail: NOT_CONTINUED,
    });
  }
}

/**
 * What is known about the result of a step: the same as about the values of its handler. What a
 * schema says about a reply does not concern it.
 *
 * @throws {@link IdempotencyConfigurationError}
 */
export function valuesOf(
  step: string,
  { types, transformation }: ReplyValues,
  options: StepOptions | undefined,
): ReplyValues {
  return withReturned({ types, transformation }, options?.returns, `returns of ${shownStep(step)}`);
}

/**
 * Decodes the recorded result of a step.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_OUTCOME_UNKNOWN` if it was not kept,
 *   `IDEMPOTENCY_RECORD_UNREADABLE` for bytes that are not a value here, such as those that were
 *   encrypted before encryption was switched off, or with a type that is not known any more
 */
export function stepResult(bytes: Uint8Array, values: ReplyValues): unknown {
  if (bytes.length === NOT_KEPT.length && bytes[0] === NOT_KEPT[0])
    throw new IdempotencyException('IDEMPOTENCY_OUTCOME_UNKNOWN');
  try {
    return bytes[0] === V8_CLONE ? clone(bytes) : decodeValue(bytes, values);
  } catch (cause) {
    throw new IdempotencyException('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
  }
}

/** True for the error of {@link stepResult} for a result that was not kept. */
export function isResultNotKept(error: unknown): boolean {
  return isIdempotencyError(error) && error.code === 'IDEMPOTENCY_OUTCOME_UNKNOWN';
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}
