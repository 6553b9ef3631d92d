import { type CallHandler, Logger, StreamableFile } from '@nestjs/common';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { concatMap, Observable } from 'rxjs';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { Claim, Settlement } from '../../engine/claim.js';
import type { Clock } from '../../engine/clock.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import { decodeReply, encodeHttpReply, NOT_KEPT } from '../../replies/codec.js';
import type { Reply } from '../../replies/reply.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { decideOnFailure, isDeterministic, statusOf } from '../../calls/failure.js';
import { type HandlerRun, handlerRuns } from '../../operation/handler-run.js';
import type { Endings } from '../../calls/operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { FrameworkResponse, HttpExchange } from './exchange.js';
import { recordableHeaders, writeProblem } from './headers.js';
import { writeReply } from './replayer.js';
import { type Captured, ResponseRecorder, type Verdict } from './response-recorder.js';

/** What the operations of an application share. */
export interface HttpOperationContext {
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  refusal(code: IdempotencyErrorCode, retryAfterMs?: number, cause?: unknown): IdempotencyException;
  setHeader(response: FrameworkResponse, name: string, value: string): void;
}

/**
 * The owner's way through Nest: runs the rest of the pipeline, holds the reply back, settles the
 * claim by what came out, and lets the reply go.
 */
export class HttpOperation {
  private readonly base: OutgoingHttpHeaders;
  private readonly recorder: ResponseRecorder;
  private error: { readonly thrown: unknown } | undefined;
  /** Headers that only a reply of success is to have. */
  private promised: Readonly<Record<string, string>> | undefined;
  /** The status that a reply of success gets, instead of the handler's. */
  private promisedStatus: number | undefined;
  private hasResult = false;
  /** What the status was when the handler had returned something; whatever it is later, others say. */
  private returnedStatus: number | undefined;
  private isPipelineDone = false;
  /** Unsubscribed before there was a result. */
  private isLeft = false;

  constructor(
    private readonly context: HttpOperationContext,
    private readonly handler: ProtectedHandler,
    private readonly exchange: HttpExchange,
    private readonly claim: Claim,
    private readonly run: HandlerRun,
    private readonly endings: Endings,
  ) {
    const { raw } = exchange;
    this.base = exchange.response.getHeaders();
    this.recorder = new ResponseRecorder(
      raw,
      raw === (exchange.response as unknown),
      context.maxResponseBytes,
      (captured) => this.settle(captured),
      () => this.watchForEnd(),
      (error) => this.report(error),
    );
    if (raw.destroyed) this.watchForEnd();
    if (endings.headers !== undefined) this.promise(endings.headers());
  }

  private promise(headers: Readonly<Record<string, string>>): void {
    this.promised = { ...this.promised, ...headers };
    for (const [name, value] of Object.entries(headers))
      this.context.setHeader(this.exchange.response, name, value);
  }

  /** Runs what lies behind the interceptor, and notes how it ends. */
  execute(next: CallHandler): Observable<unknown> {
    const result = this.claim.run(() => handlerRuns.run(this.run, () => next.handle()));
    const { answer } = this.endings;
    const source =
      answer === undefined
        ? result
        : result.pipe(concatMap((value) => this.answered(answer, value)));
    return new Observable((subscriber) => {
      const inner = source.subscribe({
        next: (value) => {
          this.hasResult = true;
          if (value !== undefined) this.returnedStatus = this.exchange.response.statusCode;
          if (value instanceof StreamableFile) this.recorder.watch(value.getStream());
          subscriber.next(value);
        },
        error: (thrown: unknown) => {
          this.error = { thrown };
          this.endPipeline();
          subscriber.error(thrown);
        },
        complete: () => {
          this.endPipeline();
          subscriber.complete();
        },
      });
      return () => {
        this.isLeft = !this.isPipelineDone && !this.hasResult;
        this.endPipeline();
        inner.unsubscribe();
      };
    });
  }

  /** Status and headers go on the response, the value through whatever lies further out. */
  private async answered(answer: NonNullable<Endings['answer']>, value: unknown): Promise<unknown> {
    const reply = await answer(value, this.run.operation);
    this.promisedStatus = reply.status;
    this.promise(Object.fromEntries(reply.headers) as Record<string, string>);
    return reply.value;
  }

  private endPipeline(): void {
    this.isPipelineDone = true;
    this.run.isDetached = !this.run.hasEnded;
  }

  /** A time-out, for instance, answers in the place of a handler that it does not wait for. */
  private get isAnsweredByOther(): boolean {
    return this.isLeft || (this.isPipelineDone && !this.run.hasEnded);
  }

  private settle(captured: Captured): Awaitable<Verdict> {
    const { claim, run } = this;
    // The handler has held it, or whoever answers now is not the first to do so.
    if (!claim.isRunning) return 'send';
    const isFailed =
      this.error !== undefined || captured.kind !== 'reply' || !isDeterministic(captured.status);
    if (this.promised !== undefined && isFailed) this.recorder.drop(this.promised);
    // Guards, pipes and validation: nothing has happened, so nothing is kept.
    if (!run.hasStarted) return this.release();
    if (this.isAnsweredByOther) {
      // The handler's own end settles the claim.
      if (run.hasEnded) return chain(this.settleWithoutReply(), () => 'send' as const);
      run.onEnd(() => {
        Promise.resolve(this.settleWithoutReply()).catch((error: unknown) => this.report(error));
      });
      return 'send';
    }
    if (this.hasUnmadeReply(captured)) return this.complete(NOT_KEPT);
    if (captured.kind === 'cut-off') return this.settleWithoutReply();
    if (captured.kind === 'broken') return this.fail(captured.error, 500, NOT_KEPT);
    const { headers, body } = captured;
    let { status } = captured;
    if (!isFailed && this.promisedStatus !== undefined) {
      status = this.promisedStatus;
      this.recorder.answerWith(status);
    }
    const reply =
      body === undefined
        ? NOT_KEPT
        : encodeHttpReply(status, recordableHeaders(headers, this.base), body);
    return isFailed ? this.fail(this.error?.thrown, status, reply) : this.complete(reply);
  }

  private fail(error: unknown, status: number, reply: Uint8Array): Awaitable<Verdict> {
    const onError = this.handler.onError ?? this.endings.onError;
    return chain(decideOnFailure({ onError }, error, status), (decision) => {
      switch (decision) {
        case 'store':
          return chain(this.claim.fail(reply), (settlement) => this.verdict(settlement));
        case 'hold':
          return chain(this.claim.hold(`failed with status ${status}`), () => 'send' as const);
        case 'release':
          return this.release();
      }
    });
  }

  private complete(reply: Uint8Array): Awaitable<Verdict> {
    return chain(this.claim.complete(reply), (settlement) => this.verdict(settlement));
  }

  private release(): Awaitable<Verdict> {
    // Release before the failure leaves: a client that retries at once must find the key free.
    return chain(this.claim.release(), () => 'send' as const);
  }

  private verdict(settlement: Settlement): Verdict {
    switch (settlement.outcome) {
      case 'stored':
      case 'deferred':
        return 'send';
      case 'superseded':
        return (raw) => this.writeWinner(raw, settlement.reply);
      case 'lost': {
        const { retryAfterMs } = this.handler.policy;
        return (raw) =>
          writeProblem(
            raw,
            this.base,
            this.context.refusal('IDEMPOTENCY_KEY_IN_USE', retryAfterMs),
          );
      }
      case 'undone':
        return (raw) => this.writeUndone(raw, settlement.cause);
    }
  }

  private writeWinner(raw: ServerResponse, recorded: Uint8Array): void {
    const winner = readable(recorded);
    if (winner?.kind === 'http') return writeReply(raw, this.base, winner);
    const isNotKept = winner?.kind === 'not-kept';
    const code = isNotKept ? 'IDEMPOTENCY_REPLY_NOT_KEPT' : 'IDEMPOTENCY_RECORD_UNREADABLE';
    writeProblem(raw, this.base, this.context.refusal(code));
  }

  /** The commit failed, or was not heard of: a retry runs, or gets the reply that is there. */
  private writeUndone(raw: ServerResponse, cause: unknown): void {
    const { retryAfterMs } = this.handler.policy;
    const code = 'IDEMPOTENCY_STORE_UNAVAILABLE';
    writeProblem(raw, this.base, this.context.refusal(code, retryAfterMs, cause));
  }

  /**
   * The handler has returned what it was to return, and an error status came after that: its reply
   * could not be made. What it did is done, and must not be done again.
   */
  private hasUnmadeReply(captured: Captured): boolean {
    if (captured.kind !== 'reply' || this.error !== undefined) return false;
    const { hasEnded, failure } = this.run;
    const hasReturned = hasEnded && failure === undefined && this.returnedStatus !== undefined;
    return hasReturned && captured.status >= 500 && captured.status !== this.returnedStatus;
  }

  private report(error: unknown): void {
    const problem = 'A reply could not be sent; its client has lost the connection.';
    new Logger('Idempotency').error(problem, error instanceof Error ? error.stack : String(error));
  }

  /** The handler has come to its end, but its reply is not there to be kept. */
  private settleWithoutReply(): Awaitable<Verdict> {
    // Held by the handler itself.
    if (!this.claim.isRunning) return 'send';
    const { failure } = this.run;
    if (failure === undefined) return this.complete(NOT_KEPT);
    return this.fail(failure.error, statusOf(failure.error), NOT_KEPT);
  }

  /**
   * The client left. The operation goes on and is recorded; but once the handler is through, a
   * reply that does not come within a lease will not come at all.
   */
  private watchForEnd(): void {
    this.context.clock.after(this.handler.policy.leaseMs, () => {
      if (!this.recorder.isCapturing) return;
      if (this.isPipelineDone && (!this.run.hasStarted || this.run.hasEnded))
        this.recorder.cutOff();
      else this.watchForEnd();
    });
  }
}

function readable(recorded: Uint8Array): Reply | undefined {
  try {
    return decodeReply(recorded);
  } catch {
    return undefined;
  }
}
