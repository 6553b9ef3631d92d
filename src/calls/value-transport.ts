import { AsyncResource } from 'node:async_hooks';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { defer, lastValueFrom, mergeMap, type Observable, of } from 'rxjs';
import type { IdempotencyEngine } from '../engine/engine.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import type { CallKind } from '../keys/call.js';
import { isIdempotencyError } from '../operation/idempotency.exception.js';
import type { IdempotentOptions } from '../options/idempotency.options.js';
import { type Begun, Operations, type TransportCall } from './operations.js';
import { encodeRecoveredValue } from './recovery-call.js';
import type { Transport } from './transport.js';
import type { ErrorForm, ValueForm, ValueOperations } from './value-operations.js';

/** What the engine has made of a call; `undefined` for a call without a key. */
export type Outcome = Begun['beginning'] | undefined;

/** A transport whose replies are values. It says what is special about its calls, and nothing else. */
export abstract class ValueTransport<Call extends TransportCall> {
  readonly encodeRecovered = encodeRecoveredValue;
  /** How values are kept; absent where they are kept as they are. */
  protected readonly values?: ValueForm;
  /** How errors are kept, and how refusals look; absent where both are as they are thrown. */
  protected readonly errors?: ErrorForm<Call>;
  private readonly operations: Operations<Call>;

  constructor(
    engine: IdempotencyEngine,
    private readonly valueOperations: ValueOperations,
  ) {
    this.operations = new Operations(engine, this, valueOperations.problemBaseUrl);
  }

  /** True when the present code is part of the operation with this record already. */
  joins?(id: string): boolean;

  /** What becomes of operations that fail: what the application says, or else the transport. */
  protected decision(onError: IdempotentOptions['onError']): IdempotentOptions['onError'] {
    return onError;
  }

  /**
   * Claims, then runs the work, replays or refuses.
   *
   * @param told called with what the engine has decided, before that is done
   * @param joined the work, where it is a part of an operation that is running
   * @throws {@link IdempotencyException} for every refusal, and what the work throws
   */
  protected async run(
    call: Call,
    handler: ProtectedHandler,
    work: () => Promise<unknown>,
    told?: (outcome: Outcome) => void,
    joined = work,
  ): Promise<unknown> {
    const begun = await this.operations.begin(call, handler);
    told?.(begun?.beginning);
    const { key, scope, principal } = call;
    const running = {
      key,
      scope,
      principal,
      policy: handler.policy,
      onError: this.decision(handler.onError ?? begun?.onError),
      endings: begun,
      method: handler.method,
      values: this.values,
      errors: this.errors,
    };
    if (begun === undefined) return this.valueOperations.runUnprotected(running, work);
    const { beginning } = begun;
    return beginning.outcome === 'joined'
      ? joined()
      : this.valueOperations.goOn(beginning, running, work);
  }

  /** An error as the caller gets it. */
  protected shown(error: unknown, call: Call): unknown {
    if (this.errors === undefined || !isIdempotencyError(error)) return error;
    return this.errors.refusal(error, call);
  }
}

/** One whose calls come to handlers through Nest's pipeline. */
export abstract class ValueInterceptor<Call extends TransportCall>
  extends ValueTransport<Call>
  implements Transport
{
  abstract readonly kind: CallKind;
  private readonly taken = new WeakSet<ExecutionContext>();

  /** How a call is read. */
  protected abstract read(context: ExecutionContext, handler: ProtectedHandler): Call;

  /** Claims, then runs, replays or refuses; what the handler emits leaves once it is on record. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    // Registered globally as well: the first one has claimed.
    if (this.taken.has(context)) return next.handle();
    this.taken.add(context);
    const call = this.read(context, handler);
    const answer = AsyncResource.bind(() => this.answer(call, next, handler));
    // An interceptor further out may try again.
    const through = (): boolean => this.taken.delete(context);
    return defer(() => answer().finally(through)).pipe(mergeMap((value) => this.emitted(value)));
  }

  /** How what a handler emits becomes the value of its reply. */
  protected collected(emitted: Observable<unknown>): Promise<unknown> {
    return lastValueFrom(emitted, { defaultValue: undefined });
  }

  /** What the caller gets of the value of a reply. */
  protected emitted(value: unknown): Observable<unknown> {
    return of(value);
  }

  protected async answer(
    call: Call,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Promise<unknown> {
    try {
      return await this.run(call, handler, () => this.collected(next.handle()));
    } catch (error) {
      throw this.shown(error, call);
    }
  }
}
