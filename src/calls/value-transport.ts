import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { lastValueFrom, mergeMap, Observable, of, type Subscriber, type Subscription } from 'rxjs';
import type { IdempotencyEngine } from '../engine/engine.js';
import type { ProtectedHandler, ProtectedLayer } from '../handlers/protected-handler.js';
import type { CallKind } from '../keys/call.js';
import { isIdempotencyError } from '../operation/idempotency.exception.js';
import type { RecoveredReply } from '../operation/recovery.js';
import { type Begun, Operations, type TransportCall } from './operations.js';
import type { ReplyValues } from '../replies/values.js';
import type { FailureForm } from './failure.js';
import { whileConflicting } from './conflicts.js';
import { Passage } from './passage.js';
import type { Transport } from './transport.js';
import type { ValueOperations } from './value-operations.js';
import type { ErrorForm, ValueCall } from './value-call.js';

/** What the engine decided about a call; `undefined` for a call without a key. */
export type Outcome = Begun['beginning'] | undefined;

/** A transport whose replies are values. A subclass only says what is special about its calls. */
export abstract class ValueTransport<Call extends TransportCall> {
  /** How errors are kept and what refusals look like; absent if both stay as they are thrown. */
  protected readonly errors?: ErrorForm<Call>;
  /** What happens to failures; absent if nothing is special about them. */
  protected readonly failures?: FailureForm;
  /** See {@link ValueCall.isAgain}. */
  protected readonly isAgain?: ValueCall['isAgain'];
  /** See {@link ValueCall.failureIn}. */
  protected failureIn?(value: unknown, call: Call): Error | undefined;
  /** See {@link CallForm.reportsRefusals}. */
  readonly reportsRefusals?: boolean;
  private readonly operations: Operations<Call>;

  constructor(
    engine: IdempotencyEngine,
    private readonly valueOperations: ValueOperations,
  ) {
    this.operations = new Operations(
      engine,
      this,
      valueOperations.callers,
      valueOperations.problemBaseUrl,
    );
  }

  encodeRecovered(reply: RecoveredReply, { scope }: Call, { values }: ProtectedLayer): Uint8Array {
    return this.valueOperations.recovered(reply, { name: scope, values });
  }

  /** How the values of a call are kept. */
  protected values(_call: Call, { values }: ProtectedHandler): ReplyValues {
    return values;
  }

  /** What the caller gets of a value; absent if that is the value itself. */
  protected view?(value: unknown, call: Call, handler: ProtectedHandler): unknown;

  /** True if the current code is already part of the operation with this record. */
  joins?(id: string): boolean;

  /**
   * Claims, then runs the work, replays or refuses.
   *
   * @param told called with what the engine has decided, before it is carried out
   * @param joined the work, if it is part of an operation that is already running
   * @throws {@link IdempotencyException} for every refusal, and what the work throws
   */
  protected async run(
    call: Call,
    handler: ProtectedHandler,
    work: () => Promise<unknown>,
    told?: (outcome: Outcome) => void,
    joined = work,
  ): Promise<unknown> {
    return whileConflicting(handler.policy, async () => {
      const begun = await this.operations.begin(call, handler);
      told?.(begun?.beginning);
      const running = this.running(call, handler, begun);
      if (begun === undefined) return this.valueOperations.runUnprotected(running, work);
      const { beginning } = begun;
      return beginning.outcome === 'joined'
        ? joined()
        : this.valueOperations.goOn(beginning, running, work);
    });
  }

  private running(call: Call, handler: ProtectedHandler, begun: Begun | undefined): ValueCall {
    const { key, scope, principal } = call;
    return {
      name: handler.name,
      key,
      scope,
      principal,
      policy: handler.policy,
      onError: handler.onError,
      endings: begun,
      method: handler.method,
      values: this.values(call, handler),
      view: this.view && ((value) => this.view!(value, call, handler)),
      errors: this.errors,
      failures: this.failures,
      isAgain: this.isAgain,
      failureIn: this.failureIn && ((value) => this.failureIn!(value, call)),
      reportsItself: this.reportsRefusals,
      passage: call.passage,
      isOfJob: call.isOfJob,
    };
  }

  /** An error in the form that the caller gets. */
  protected shown(error: unknown, call: Call): unknown {
    if (!isIdempotencyError(error)) return error;
    error.documentAt(this.valueOperations.problemBaseUrl);
    if (this.errors === undefined) return error;
    return this.errors.refusal(error, call);
  }
}

/** A value transport whose calls reach handlers through Nest's pipeline. */
export abstract class ValueInterceptor<Call extends TransportCall>
  extends ValueTransport<Call>
  implements Transport
{
  abstract readonly kind: CallKind;
  private readonly passages = new WeakMap<ExecutionContext, Passage>();
  private readonly around = new AsyncLocalStorage<Passage>();

  /** How a call is read. */
  protected abstract read(context: ExecutionContext, handler: ProtectedHandler): Call;

  /** Claims, then runs, replays or refuses. What the handler emits is sent once it is on record. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    const passage = this.passages.get(context);
    // The interceptor is registered globally too: the first one has claimed.
    if (passage !== undefined && this.around.getStore() === passage) return next.handle();
    const scope = new AsyncResource('IdempotencyInterceptor');
    const answer = (current: Passage): Promise<unknown> =>
      scope.runInAsyncScope(() => {
        const call = this.read(context, handler);
        call.passage = current;
        const inside = { handle: () => this.around.run(current, () => next.handle()) };
        return this.answer(call, inside, handler);
      });
    return new Observable((subscriber: Subscriber<unknown>) =>
      this.listen(context, answer, subscriber),
    ).pipe(mergeMap((value) => this.emitted(value)));
  }

  /** Whoever comes while it runs gets what it ends with; after a failure another attempt begins. */
  private listen(
    context: ExecutionContext,
    answer: (passage: Passage) => Promise<unknown>,
    subscriber: Subscriber<unknown>,
  ): Subscription {
    const again = (): Subscription => this.listen(context, answer, subscriber);
    const current = this.passages.get(context);
    if (current !== undefined) return current.listen(subscriber, again);
    const passage = new Passage(answer, () => {
      if (this.passages.get(context) === passage) this.passages.delete(context);
    });
    this.passages.set(context, passage);
    const listening = passage.listen(subscriber, again);
    passage.start();
    return listening;
  }

  /** Turns what a handler emits into the value of its reply. */
  protected collected(emitted: Observable<unknown>): Promise<unknown> {
    return lastValueFrom(emitted, { defaultValue: undefined });
  }

  /** Turns the value of a reply into what the caller gets. */
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
