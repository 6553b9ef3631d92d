import type { OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { OperationIdentity } from '../operation/current-operation.js';
import type { IdempotencyException } from '../operation/idempotency.exception.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import type { ReplyValues } from '../replies/values.js';
import type { FailureForm } from './failure.js';
import type { Endings } from './operations.js';
import type { Passage } from './passage.js';

/** How errors are recorded, restored and thrown as refusals, if callers get less than the error. */
export interface ErrorForm<Call = unknown> {
  /** The data of what callers see; `undefined` for an error that is kept itself. */
  keep?(error: unknown): unknown;
  /** The error that callers see. */
  restore?(data: unknown): Error;
  /** What a refusal looks like. */
  refusal(exception: IdempotencyException, call: Call): Error;
}

/** The form of the errors on record of which callers see less than the error. */
export const ERROR_FORM = Symbol.for('nestjs-idempotency:error-form');

/** What is known about a call while its work runs. */
export interface ValueCall extends OperationIdentity {
  /** What it calls, for warnings: `ClassName.method`. */
  readonly name: string;
  readonly policy: OperationPolicy;
  readonly onError: IdempotentOptions['onError'];
  readonly endings?: Endings;
  /** What happens to failures; absent if nothing is special about them. */
  readonly failures?: FailureForm;
  /** The handler that the work leads to. If the work does not reach it, no record remains. */
  readonly method?: unknown;
  readonly values: ReplyValues;
  /**
   * What the caller gets of a value; absent if that is the value itself.
   *
   * @throws {@link NotKeepableError}
   */
  readonly view?: (value: unknown) => unknown;
  readonly errors?: Pick<ErrorForm, 'keep' | 'restore'>;
  /** The work is a job of a queue. */
  readonly isOfJob?: boolean;
  /** True for a returned value that means that the work has to be done again. */
  readonly isAgain?: (value: unknown) => boolean;
  /** The error that a returned value stands for, if it says that the work has failed. */
  readonly failureIn?: (value: unknown) => Error | undefined;
  /** True for a transport that reports every refusal and failure itself. */
  readonly reportsItself?: boolean;
  /** Who waits for it, if that may change. */
  readonly passage?: Passage;
}

/** A call that did not come through a transport: code runs it with a key that it names. */
export interface DirectCall extends ValueCall {
  readonly id: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly label: string | undefined;
  readonly transaction: OperationRequest['transaction'];
  readonly onAbandoned: IdempotentOptions['onAbandoned'];
}
