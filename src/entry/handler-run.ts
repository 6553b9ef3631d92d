import { AsyncLocalStorage } from 'node:async_hooks';
import { isObservable } from 'rxjs';
import { finalize } from 'rxjs/operators';
import { isPending } from '../engine/awaitable.js';
import type { Claim } from '../engine/claim.js';
import { IdempotencyException } from '../idempotency.exception.js';
import type { IdempotentOperation } from './idempotent-operation.js';

/**
 * One run of a handler, from the claim on. Knows whether the handler's first line was reached,
 * whether it has come to its end, and whether anyone still listens to it.
 */
export class HandlerRun {
  /** The handler was called: whatever failed before is none of the operation's doing. */
  hasStarted = false;
  hasEnded = false;
  hasFailed = false;
  /** Something outside stopped listening, such as a time-out, while the handler went on. */
  isDetached = false;
  private whenEnded: (() => void) | undefined;

  constructor(
    readonly handler: unknown,
    readonly operation: IdempotentOperation,
    private readonly claim: Claim | undefined,
  ) {}

  /** True for the call that this run is about, once. Direct and nested calls are others. */
  expects(handler: unknown): boolean {
    return this.handler === handler && !this.hasStarted;
  }

  /** Calls the handler and follows it to its end, whoever listens. */
  follow(call: () => unknown): unknown {
    // The reply has left already, without this call: it must not run without a claim.
    if (this.claim?.isRunning === false) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    this.hasStarted = true;
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      this.end(true);
      throw error;
    }
    if (isPending(result)) {
      void Promise.resolve(result).then(
        () => this.end(false),
        () => this.end(true),
      );
      return result;
    }
    if (isObservable(result)) return result.pipe(finalize(() => this.end(false)));
    this.end(false);
    return result;
  }

  /** Calls back when the handler ends; one listener is enough. */
  onEnd(listener: () => void): void {
    this.whenEnded = listener;
  }

  private end(failed: boolean): void {
    this.hasEnded = true;
    this.hasFailed = failed;
    this.whenEnded?.();
  }
}

/** The run that the present code is part of. Shared by all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:handler-run');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<HandlerRun> };
export const handlerRuns: AsyncLocalStorage<HandlerRun> = ((globalThis as Shared)[STORAGE] ??=
  new AsyncLocalStorage<HandlerRun>());
