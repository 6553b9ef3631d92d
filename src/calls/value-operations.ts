import { Inject, Injectable } from '@nestjs/common';
import { isObservable } from 'rxjs';
import { type Awaitable, chain } from '../engine/awaitable.js';
import type { Claim, Settlement } from '../engine/claim.js';
import { IdempotencyEngine } from '../engine/engine.js';
import type { Beginning } from '../engine/operation.js';
import { type IdempotencyErrorCode, undoneRefusal } from '../engine/refusals.js';
import { observableReturned } from '../handlers/not-protected.js';
import { isNotNow, keptJobError } from '../keys/jobs.js';
import { ownRefusal } from '../operation/known-exceptions.js';
import { CurrentOperation } from '../operation/current-operation.js';
import { HandlerRun, handlerRuns } from '../operation/handler-run.js';
import { NotKeptWarnings } from '../operation/not-kept-warnings.js';
import { IdempotencyException, isIdempotencyError } from '../operation/idempotency.exception.js';
import type { IdempotentOperation } from '../operation/idempotent-operation.js';
import type { RecoveredReply } from '../operation/recovery.js';
import type { ErrorDecision, IdempotencyModuleOptions } from '../options/idempotency.options.js';
import { MODULE_OPTIONS_TOKEN, REPLY_VALUES } from '../options/module-definition.js';
import {
  decodeReply,
  encodeErrorReply,
  encodeValueReply,
  NOT_KEPT,
  UnreadableReplyError,
} from '../replies/codec.js';
import { notKeepable } from '../replies/not-keepable.js';
import { type Reply, ShapedError } from '../replies/reply.js';
import type { ReplyValues } from '../replies/values.js';
import { Callers } from './callers.js';
import { Conflict, conflictOf, released, whileConflicting } from './conflicts.js';
import {
  decideOnFailure,
  FAILURES,
  isNack,
  isNotYet,
  logExhausted,
  orLast,
  reasonOf,
} from './failure.js';
import { exceptionOf, type RefusalReason } from './refused.js';
import { encodeRecoveredValue, givenOutsideHttp, recovery } from './recovery-call.js';
import { type DirectCall, ERROR_FORM, type ErrorForm, type ValueCall } from './value-call.js';

type Work<T> = (operation: IdempotentOperation) => T | PromiseLike<T>;

/**
 * The path of values: wherever a call came from, what its work returns is recorded and replayed.
 */
@Injectable()
export class ValueOperations {
  readonly problemBaseUrl: string | undefined;

  constructor(
    private readonly engine: IdempotencyEngine,
    @Inject(ERROR_FORM) private readonly form: Pick<ErrorForm, 'restore'>,
    readonly callers: Callers,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
    @Inject(REPLY_VALUES) readonly values: ReplyValues,
    private readonly warnings: NotKeptWarnings,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /** @throws {@link IdempotencyException} for every refusal, and what `fn` throws */
  async run<T>(call: DirectCall, fn: Work<T>): Promise<T> {
    const { id, scope, label, fingerprint, policy, transaction, onAbandoned } = call;
    const recover = recovery(onAbandoned, call, id, call.values, (reply) =>
      this.recovered(reply, call),
    );
    const caller = policy.keepsReply ? this.callers.known(call.principal) : undefined;
    const request = { id, scope, label, fingerprint, policy, transaction, recover, caller };
    // Only a transaction meets conflicts, and the attempts cost promises.
    if (transaction === undefined) return this.goOn(await this.engine.begin(request), call, fn);
    return whileConflicting(policy, async () =>
      this.goOn(await this.engine.begin(request), call, fn),
    );
  }

  /**
   * Carries out what the engine has decided.
   *
   * @throws {@link IdempotencyException} for every refusal, what `fn` throws, and {@link Conflict}
   */
  async goOn<T>(beginning: Beginning, call: ValueCall, fn: Work<T>): Promise<T> {
    switch (beginning.outcome) {
      case 'execute':
        return this.execute(call, beginning.claim, fn);
      case 'replay':
        return this.replay<T>(beginning.reply, call);
      case 'refused':
        await call.endings?.onRefused?.(beginning.code);
        if (beginning.code === 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED' && call.reportsItself !== true)
          logExhausted(call.scope, undefined);
        throw exceptionOf(beginning.code, beginning, this.problemBaseUrl);
      case 'unprotected':
        return this.runUnprotected(call, fn);
    }
  }

  async runUnprotected<T>(call: ValueCall, fn: Work<T>): Promise<T> {
    const run = this.runOf(call, undefined, fn);
    return handlerRuns.run(run, () => workOf(call, run, fn));
  }

  private runOf(call: ValueCall, claim: Claim | undefined, fn: unknown): HandlerRun {
    const operation = new CurrentOperation(call, claim, call, this.warnings);
    return new HandlerRun(call.method ?? fn, operation, claim, handlerRuns.getStore()?.alive);
  }

  private async execute<T>(call: ValueCall, claim: Claim, fn: Work<T>): Promise<T> {
    const { passage } = call;
    const run = this.runOf(call, claim, fn);
    if (passage?.isLeft === true) {
      await passage.giveBack(() => claim.withdraw());
      throw this.refusal('IDEMPOTENCY_KEY_IN_USE', call.policy);
    }
    passage?.onLeft(() => {
      if (!run.hasStarted && claim.isRunning) void passage.giveBack(() => claim.withdraw());
    });
    let value: T;
    let isAnswering = false;
    try {
      value = await claim.run(() => handlerRuns.run(run, () => workOf(call, run, fn)));
      const answer = call.endings?.answer;
      isAnswering = answer !== undefined;
      if (answer !== undefined) value = (await answer(value, run.operation)).value as T;
      if (claim.checkWork !== undefined && claim.isRunning && run.hasEnded) {
        isAnswering = true;
        await claim.checkWork();
      }
    } catch (error) {
      // The strategy's answer is part of the work.
      const conflict = this.conflictOf(call, claim, error);
      throw released(conflict, await this.failed(call, claim, run, error, isAnswering)) ?? error;
    }
    if (!claim.isRunning) return value;
    if (!run.hasStarted) {
      await claim.withdraw();
      return value;
    }
    // Something else answered in place of the handler.
    if (run.isSilent) {
      this.settleAtEnd(call, claim, run);
      return value;
    }
    if (run.isGivenBack || isNack(value) || call.isAgain?.(value) === true) {
      await this.again(call, claim);
      return value;
    }
    const failure = call.failureIn?.(value);
    if (failure !== undefined) {
      await this.fail(call, claim, failure, true, () => this.encode(call, value)[0]);
      return value;
    }
    const [reply, answer] = claim.keepsReply ? this.encode(call, value) : [NOT_KEPT, value];
    const settlement = await claim.complete(reply);
    if (settlement.outcome === 'undone' && settlement.why === 'conflict') {
      const { code, reason } = undoneRefusal(settlement, call.policy.retryAfterMs);
      throw new Conflict(this.refusal(code, reason), claim.hasReachedOut !== true);
    }
    if (settlement.outcome !== 'failed') return this.winnerOr(settlement, answer, call);
    await this.fail(call, claim, settlement.error, true);
    throw settlement.error;
  }

  private conflictOf(call: ValueCall, claim: Claim, error: unknown): Conflict | undefined {
    if (!claim.isRunning) return undefined;
    const { policy } = call;
    const said = [call.onError, call.endings?.onError];
    return conflictOf(error, { claim, policy, said, problemBaseUrl: this.problemBaseUrl });
  }

  /**
   * The caller gets what was thrown. What happens to the operation depends on how its handler
   * ended.
   */
  private async failed(
    call: ValueCall,
    claim: Claim,
    run: HandlerRun,
    error: unknown,
    isOfWork: boolean,
  ): Promise<ErrorDecision | undefined> {
    if (!claim.isRunning) return undefined;
    if (!run.hasStarted) {
      await claim.release();
      return undefined;
    }
    if (!run.hasEnded) {
      this.settleAtEnd(call, claim, run);
      return undefined;
    }
    return this.fail(call, claim, error, isOfWork || run.failure !== undefined);
  }

  /**
   * The handler is still running although its caller has been answered. When it ends, the claim is
   * settled.
   */
  private settleAtEnd(call: ValueCall, claim: Claim, run: HandlerRun): void {
    run.onEnd(() => {
      if (!claim.isRunning) return;
      const { failure } = run;
      const ended = (): Awaitable<unknown> =>
        run.isGivenBack ? this.again(call, claim) : claim.complete(NOT_KEPT);
      const settled = failure === undefined ? ended() : this.fail(call, claim, failure.error, true);
      void Promise.resolve(settled).catch(() => undefined);
    });
  }

  /**
   * The reply as bytes, and what the caller gets of it. The work was done: for a value that cannot
   * be kept, the record becomes a tombstone, and the caller gets the value.
   */
  private encode<T>(call: ValueCall, value: T): [reply: Uint8Array, answer: T] {
    const { view, values } = call;
    try {
      const answer = view === undefined ? value : (view(value) as T);
      return [encodeValueReply(answer, values), answer];
    } catch (error) {
      return [this.tombstone(call, error), value];
    }
  }

  /**
   * The reply that the application gave for an operation. It says that the work was done, so a
   * value that cannot be kept leaves a tombstone.
   */
  recovered(reply: RecoveredReply, call: Pick<ValueCall, 'name' | 'values'>): Uint8Array {
    try {
      return encodeRecoveredValue(reply, call.values);
    } catch (error) {
      return this.tombstone(call, error);
    }
  }

  /** Says once per handler and class why its replies are not kept. */
  private tombstone({ name }: Pick<ValueCall, 'name'>, error: unknown): Uint8Array {
    this.warnings.ofReply(name, notKeepable(error));
    return NOT_KEPT;
  }

  /**
   * @param mayRunAgain false for a handler that has succeeded, because only its reply failed
   * @param kept what is on record of a failure that is stored
   * @returns `release` if the work runs again
   */
  private async fail(
    call: ValueCall,
    claim: Claim,
    error: unknown,
    mayRunAgain: boolean,
    kept = (): Uint8Array => this.encodedError(error, call),
  ): Promise<ErrorDecision | undefined> {
    if (mayRunAgain && isNotNow(error, call.isOfJob === true)) {
      await claim.giveBack();
      return undefined;
    }
    const { failures = FAILURES } = call;
    const status = failures.statusOf(error);
    const byDefault = failures.byDefault(error, status);
    const said = [call.onError, call.endings?.onError];
    const decided = await decideOnFailure(said, error, status, byDefault);
    const decision = mayRunAgain ? orLast(decided, claim, error) : decided;
    if (decision !== decided) this.exhausted(call, claim);
    switch (decision) {
      case 'store':
        await claim.fail(kept());
        return decision;
      case 'hold':
        await claim.hold(reasonOf(decided, claim, status), error);
        return decision;
      case 'reject':
        await claim.release();
        return undefined;
      case 'release':
        if (!mayRunAgain) await claim.complete(NOT_KEPT);
        else await (isNotYet(error) ? claim.withdraw() : claim.release());
        return mayRunAgain ? decision : undefined;
    }
  }

  /** The handler wants its work to be done again. After the last attempt, somebody has to decide. */
  private async again(call: ValueCall, claim: Claim): Promise<void> {
    const { ifFails } = claim;
    if (ifFails !== undefined) this.exhausted(call, claim);
    if (ifFails === undefined || ifFails === 'reject') await claim.release();
    else await claim.hold(reasonOf(undefined, claim, 0));
  }

  private exhausted({ scope, policy, reportsItself }: ValueCall, claim: Claim): void {
    this.engine.reportExhausted({ scope, policy, id: claim.id }, claim.attempt);
    if (reportsItself !== true) logExhausted(scope, claim.ifFails);
  }

  private winnerOr<T>(
    settlement: Exclude<Settlement, { outcome: 'failed' }>,
    value: T,
    call: ValueCall,
  ): T {
    const { policy } = call;
    switch (settlement.outcome) {
      case 'stored':
      case 'deferred':
        return value;
      case 'superseded':
        return this.replay<T>(settlement.reply, call);
      case 'lost':
        throw this.refusal('IDEMPOTENCY_KEY_IN_USE', policy);
      case 'undone': {
        const { code, reason } = undoneRefusal(settlement, policy.retryAfterMs);
        throw this.refusal(code, reason);
      }
      case 'unrecorded': {
        const { retryAfterMs } = policy;
        const { cause } = settlement;
        throw this.refusal('IDEMPOTENCY_RESULT_PENDING', { retryAfterMs, cause });
      }
    }
  }

  /**
   * Reads what is on record, with errors as they were thrown. Instances of classes that are known to
   * their handler only come as their data.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE`
   */
  read(recorded: Uint8Array): Reply {
    const reply = this.decode(recorded, { ...this.values, isLenient: true });
    if (reply.kind !== 'error') return reply;
    return { kind: 'error', error: this.thrown(reply.error, this.form) };
  }

  private decode(recorded: Uint8Array, values: ReplyValues): Reply {
    try {
      return decodeReply(recorded, values);
    } catch (cause) {
      if (!(cause instanceof UnreadableReplyError)) throw cause;
      throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
    }
  }

  private replay<T>(recorded: Uint8Array, { values, errors }: ValueCall): T {
    const recordedReply = this.decode(recorded, values);
    const reply =
      recordedReply.kind === 'http' && recordedReply.isGiven
        ? givenOutsideHttp(recordedReply)
        : recordedReply;
    switch (reply.kind) {
      case 'value':
        return reply.value as T;
      case 'error':
        throw this.thrown(reply.error, errors);
      case 'not-kept':
        throw this.refusal('IDEMPOTENCY_REPLY_NOT_KEPT');
      case 'http':
        throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE');
    }
  }

  private thrown(kept: unknown, form: Pick<ErrorForm, 'restore'> | undefined): unknown {
    if (isIdempotencyError(kept)) kept.documentAt(this.problemBaseUrl);
    return kept instanceof ShapedError ? (form?.restore?.(kept.data) ?? kept.data) : kept;
  }

  private refusal(code: IdempotencyErrorCode, reason: RefusalReason = {}): IdempotencyException {
    return exceptionOf(code, reason, this.problemBaseUrl);
  }

  /**
   * For an error that cannot be kept, the record becomes a tombstone: the operation does not run
   * again.
   */
  private encodedError(error: unknown, call: ValueCall): Uint8Array {
    try {
      const data = call.errors?.keep?.(error);
      if (data !== undefined) return encodeErrorReply(new ShapedError(data), call.values);
      const kept = isIdempotencyError(error) ? ownRefusal(error) : keptJobError(error);
      return encodeErrorReply(kept, call.values);
    } catch (notKeepable) {
      return this.tombstone(call, notKeepable);
    }
  }
}

function settledValue(value: unknown): unknown {
  if (!isObservable(value)) return value;
  throw observableReturned('The function given to IdempotencyService.run()');
}

/** Code that is no method. */
const NOWHERE = { instance: undefined, name: '' };

/** If the work leads to no handler, it is the handler itself. */
async function workOf<T>({ method }: ValueCall, run: HandlerRun, fn: Work<T>): Promise<T> {
  const work = (): unknown => fn(run.operation);
  if (method !== undefined) return work() as T | Promise<T>;
  return run.follow(() => chain(work(), settledValue), NOWHERE) as T | Promise<T>;
}
