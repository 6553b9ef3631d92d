import { type CallHandler, StreamableFile } from '@nestjs/common';
import type { AsyncResource } from 'node:async_hooks';
import type { OutgoingHttpHeaders } from 'node:http';
import { concatMap, Observable } from 'rxjs';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { Claim, Settlement } from '../../engine/claim.js';
import { encodeHttpReply, NOT_KEPT } from '../../replies/codec.js';
import {
  decideOnFailure,
  FAILURES,
  isDeterministic,
  isNotYet,
  orLast,
  reasonOf,
  statusOf,
} from '../../calls/failure.js';
import { type Conflict, conflictOf, released } from '../../calls/conflicts.js';
import type { HandlerRun } from '../../operation/handler-run.js';
import type { Endings } from '../../calls/operations.js';
import type { ErrorDecision } from '../../options/idempotency.options.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import {
  ANEW,
  type Entered,
  type HttpExchange,
  type HttpOperationContext,
  type RecorderOwner,
} from './exchange.js';
import type { Captured, Verdict } from './captured.js';
import { recordableHeaders } from './headers.js';
import { type Pass, Passes } from './passes.js';
import { recorderOf, report, sourceErrorOf } from './recorder-of.js';
import type { ResponseRecorder } from './response-recorder.js';
import { failedCommit, verdictOf } from './verdicts.js';

/** How long to wait for a reply after the handler ended, if the client has disconnected. */
const ANSWERS_WITHIN_MS = 1_000;

/**
 * The owner's pass through Nest: runs the rest of the pipeline, holds the reply back, settles the
 * claim by the result, and sends the reply. The operation ends when its handler ends.
 */
export class HttpOperation implements Entered, RecorderOwner {
  private readonly base: OutgoingHttpHeaders;
  private readonly recorder: ResponseRecorder;
  private readonly passes = new Passes();
  /** Headers for a successful reply only. */
  private promised: Readonly<Record<string, string>> | undefined;
  /** The status of a successful reply, instead of the handler's. */
  private promisedStatus: number | undefined;
  /** The strategy's part of the work failed after the handler's. */
  private answerFailure: HandlerRun['failure'];
  /** The status when the handler ended. Others may change it later. */
  private statusAtEnd: number | undefined;
  private givenBack: Awaitable<void> | undefined;

  constructor(
    private readonly context: HttpOperationContext,
    private readonly handler: ProtectedHandler,
    private readonly exchange: HttpExchange,
    private readonly claim: Claim,
    private readonly run: HandlerRun,
    private readonly endings: Endings,
  ) {
    const { raw, response } = exchange;
    this.base = exchange.surroundings;
    exchange.owner = this;
    this.recorder = exchange.recorder ??= recorderOf(exchange, handler, context);
    run.onEnd(() => (this.statusAtEnd = response.statusCode));
    if (raw.destroyed) this.clientGone();
    if (endings.headers !== undefined) this.promise(endings.headers());
  }

  get isAround(): boolean {
    return this.run.isOnItsWay;
  }

  private promise(headers: Readonly<Record<string, string>>): void {
    this.promised = { ...this.promised, ...headers };
    for (const [name, value] of Object.entries(headers))
      this.context.setHeader(this.exchange.response, name, value);
  }

  /** Runs the pipeline behind the interceptor, and notes how it ends. */
  pass(next: CallHandler, around: AsyncResource): Observable<unknown> {
    const [pass, isFirst] = this.passes.begin();
    const run = isFirst ? this.run : this.run.again();
    const { answer } = this.endings;
    const { checkWork } = this.claim;
    const work = (): Observable<unknown> =>
      answer === undefined
        ? next.handle()
        : next.handle().pipe(concatMap((value) => this.answered(answer, value)));
    const source = run.lead(
      checkWork === undefined
        ? work
        : () => work().pipe(concatMap((value) => this.check(checkWork).then(() => value))),
      around,
    );
    return new Observable((subscriber) => {
      const inner = source.subscribe({
        next: (value) => {
          pass.hasResult = true;
          if (value instanceof StreamableFile) this.recorder.sources.watch(value.getStream());
          subscriber.next(value);
        },
        error: (thrown: unknown) => {
          pass.error = { thrown };
          pass.isDone = true;
          subscriber.error(thrown);
        },
        complete: () => {
          pass.isDone = true;
          subscriber.complete();
        },
      });
      return () => {
        pass.isLeft = !pass.isDone && !pass.hasResult;
        pass.isDone = true;
        inner.unsubscribe();
        if (this.exchange.raw.destroyed) this.endUnheard();
      };
    });
  }

  /** A handler that failed may be tried again, but by an attempt with its own claim. */
  startsAnew(): Awaitable<boolean> {
    const { failure } = this.run;
    // What has begun to be sent cannot begin again.
    if (failure === undefined || !this.claim.isRunning || this.recorder.hasLeft) return false;
    return chain(this.decide(failure.error, statusOf(failure.error)), (decision) =>
      orLast(decision, this.claim, failure.error) === 'release' && this.claim.isRunning
        ? chain(this.claim.release(), () => true)
        : false,
    );
  }

  /** The database has undone the handler's work because of others, and nobody else decides about that. */
  conflict(error: unknown): Awaitable<Conflict | undefined> {
    const { claim, context, endings, handler, recorder } = this;
    if (this.failure === undefined || !claim.isRunning || !this.run.hasEnded) return undefined;
    const said = [handler.onError, endings.onError];
    const call = { claim, policy: handler.policy, said, problemBaseUrl: context.problemBaseUrl };
    const conflict = conflictOf(error, call);
    // What has begun to be written cannot begin again.
    if (conflict === undefined || recorder.headersSent === true) return undefined;
    return chain(this.decide(error, statusOf(error)), (decision) =>
      released(conflict, orLast(decision, claim, error)),
    );
  }

  /** Undoes everything, so that the call begins again. */
  undo(): Awaitable<void> {
    if (this.promised !== undefined) this.recorder.drop(this.promised);
    this.run.over();
    return this.claim.release();
  }

  /** The handler has not been reached and will not be. */
  leave(): void {
    if (this.run.hasStarted || !this.claim.isRunning) return;
    this.givenBack = this.claim.withdraw();
    this.exchange.entered = chain(this.givenBack, () => ANEW);
  }

  /**
   * The client disconnected. The operation continues. If no reply comes within a lease after the
   * handler ended, none will come.
   */
  clientGone(): void {
    this.endUnheard();
    this.context.later(this.handler.policy.leaseMs, () => {
      if (!this.cutOff() && this.recorder.isCapturing) this.clientGone();
    });
  }

  /**
   * If the client is gone, Nest stops listening to the handler's observable. Its end is then the
   * operation's.
   */
  private endUnheard(): void {
    const { run, context } = this;
    run.onEnd(() => {
      if (this.passes.areUnheard(run.failure)) this.cutOff();
      // An interceptor further out has what was emitted, and may be about to answer.
      else if (run.isObserved) context.later(ANSWERS_WITHIN_MS, () => void this.cutOff());
    });
  }

  /** Settles without a reply, unless one may still come; true if it did. */
  private cutOff(): boolean {
    const { run, recorder } = this;
    const isOver = this.passes.areDone && (!run.hasStarted || run.hasEnded);
    if (!isOver || !recorder.isCapturing) return false;
    recorder.cutOff();
    return true;
  }

  /** Sets status and headers on the response, and passes the value to the outer interceptors. */
  private async answered(answer: NonNullable<Endings['answer']>, value: unknown): Promise<unknown> {
    try {
      const reply = await answer(value, this.run.operation);
      this.promisedStatus = reply.status;
      this.promise(Object.fromEntries(reply.headers) as Record<string, string>);
      return reply.value;
    } catch (error) {
      this.answerFailure = { error };
      throw error;
    }
  }

  /** What the database would refuse at the commit is an error of the work. */
  private async check(check: () => Promise<void>): Promise<void> {
    if (!this.run.hasEnded || !this.claim.isRunning) return;
    await check().catch((error: unknown) => {
      this.answerFailure = { error };
      throw error;
    });
  }

  /** The error of the work: the handler's, or that of the strategy's part. */
  private get failure(): HandlerRun['failure'] {
    return this.run.failure ?? this.answerFailure;
  }

  settle(captured: Captured): Awaitable<Verdict> {
    const { claim, run } = this;
    // The claim was already held, released or settled.
    if (!claim.isRunning) return chain(this.givenBack, () => 'send' as const);
    // If something else has answered, the handler's own end settles the claim.
    const isHandlers = run.isCurrent;
    const isFailed = this.hasFailed(captured, isHandlers);
    if (this.promised !== undefined && isFailed) this.recorder.drop(this.promised);
    // Guards, pipes or validation refused the call, so nothing is kept.
    if (!run.hasStarted) return this.release(this.passes.error !== undefined);
    if (!isHandlers && !run.hasEnded) this.recorder.ignore(() => run.isCurrent);
    if (this.passes.areUnheard(run.failure) || (run.isSilent && !isHandlers))
      return this.settleWithoutReply();
    if (captured.kind === 'cut-off') return this.settleWithoutReply();
    const reply = this.replyOf(captured, isFailed);
    if (!isFailed) return this.complete(reply);
    // Until the handler ends, a further pass may get its result, which changes nothing here.
    const { error } = this.passes;
    // Compared now: whoever answers while the handler runs has set the status that it ends with, too.
    const isHandlersStatus = isHandlers || this.hasStatusOf(captured);
    return this.onceEnded(() => this.fail(captured, reply, error, isHandlersStatus));
  }

  /** A handler that answers with success by itself has succeeded, whatever gave it up before. */
  private hasFailed(captured: Captured, isHandlers: boolean): boolean {
    const isSuccess = captured.kind === 'reply' && isDeterministic(captured.status);
    return !isSuccess || (this.passes.error !== undefined && !isHandlers);
  }

  private hasStatusOf(captured: Captured): boolean {
    return captured.kind === 'reply' && captured.status === this.statusAtEnd;
  }

  private replyOf(captured: Captured, isFailed: boolean): Uint8Array {
    if (captured.kind !== 'reply') return NOT_KEPT;
    const { headers, body, extras } = captured;
    let { status } = captured;
    if (!isFailed && this.promisedStatus !== undefined) {
      status = this.promisedStatus;
      this.recorder.answerWith(status);
    }
    if (body === undefined) return NOT_KEPT;
    const { isUnrecorded } = this.context;
    const fields = recordableHeaders(headers, this.base, (name) => isUnrecorded(name, status));
    const trailers = extras.trailers?.filter(([name]) => !isUnrecorded(name.toLowerCase(), status));
    return encodeHttpReply(status, fields, body, { ...extras, trailers });
  }

  /**
   * Settles a failure once the handler has ended, because until then nobody else may run. Handlers
   * that send the reply themselves usually end in the same turn.
   */
  private onceEnded(settle: () => Awaitable<Verdict>): Awaitable<Verdict> {
    const { run } = this;
    if (run.hasEnded) return settle();
    return new Promise<void>((resolve) => void setImmediate(resolve)).then(() => {
      if (run.hasEnded) return settle();
      run.onEnd(() => this.inBackground(settle));
      return 'send';
    });
  }

  private inBackground(settle: () => Awaitable<Verdict>): void {
    void (async () => {
      if (this.claim.isRunning) await settle();
    })().catch((error: unknown) => report('The end of an operation was not recorded.', error));
  }

  /**
   * The call has failed. A handler that failed may be tried again. A handler that succeeded never
   * runs again: its reply could not be made, and retries are told so.
   */
  private fail(
    captured: Captured,
    reply: Uint8Array,
    error: Pass['error'],
    isHandlersStatus: boolean,
  ): Awaitable<Verdict> {
    const { failure } = this;
    const status = captured.kind === 'reply' ? captured.status : 500;
    const isOwn =
      failure !== undefined ||
      (captured.kind === 'reply' && error === undefined && isHandlersStatus);
    return this.failWith(
      error?.thrown ?? failure?.error ?? sourceErrorOf(captured),
      status,
      reply,
      isOwn,
    );
  }

  private failWith(
    error: unknown,
    status: number,
    reply: Uint8Array,
    mayRunAgain: boolean,
  ): Awaitable<Verdict> {
    return chain(this.decide(error, status), (decided) => {
      const { claim } = this;
      const decision = mayRunAgain ? orLast(decided, claim, error) : decided;
      if (decision !== decided) this.context.exhausted(this.exchange, this.handler, claim);
      switch (decision) {
        case 'store':
          return chain(this.claim.fail(reply), (settlement) => this.ended(settlement));
        case 'hold':
          return chain(claim.hold(reasonOf(decided, claim, status), error), () => 'send' as const);
        case 'reject':
          return this.release();
        case 'release':
          return mayRunAgain ? this.release(!isNotYet(error)) : this.complete(NOT_KEPT);
      }
    });
  }

  private decide(error: unknown, status: number): Awaitable<ErrorDecision> {
    const said = [this.handler.onError, this.endings.onError];
    return decideOnFailure(said, error, status, FAILURES.byDefault(error, status));
  }

  /** The reply is not the handler's, or there is none. The handler's own end decides. */
  private settleWithoutReply(): Awaitable<Verdict> {
    if (!this.run.hasEnded) {
      this.run.onEnd(() => this.inBackground(() => this.settleWithoutReply()));
      return 'send';
    }
    const { failure } = this;
    if (failure === undefined) return this.complete(NOT_KEPT);
    return this.failWith(failure.error, statusOf(failure.error), NOT_KEPT, true);
  }

  private complete(reply: Uint8Array): Awaitable<Verdict> {
    return chain(this.claim.complete(reply), (settlement) => this.ended(settlement));
  }

  private release(hasFailed = true): Awaitable<Verdict> {
    const { claim } = this;
    // Release before the failure is sent: a client that retries at once must find the key free.
    return chain(hasFailed ? claim.release() : claim.withdraw(), () => 'send' as const);
  }

  private ended(settlement: Settlement): Awaitable<Verdict> {
    const { base, claim, context, exchange, handler, run } = this;
    run.over();
    const { retryAfterMs } = handler.policy;
    const place = { base, exchange, retryAfterMs, context };
    if (settlement.outcome !== 'failed') return verdictOf(settlement, place);
    const { error } = settlement;
    return chain(this.decide(error, statusOf(error)), (decision) =>
      failedCommit(place, claim, error, decision),
    );
  }
}
