import type { CallHandler } from '@nestjs/common';
import type { OutgoingHttpHeaders } from 'node:http';
import { Observable } from 'rxjs';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { Claim, Settlement } from '../../engine/claim.js';
import type { Clock } from '../../engine/clock.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import { decodeReply, encodeHttpReply, NOT_KEPT } from '../../replies/codec.js';
import type { IdempotencyException } from '../../idempotency.exception.js';
import { decideOnFailure, isDeterministic } from '../failure.js';
import { type HandlerRun, handlerRuns } from '../handler-run.js';
import type { ProtectedHandler } from '../protected-handler.js';
import type { HttpExchange } from './exchange.js';
import { recordableHeaders } from './headers.js';
import { writeProblem } from './problem.js';
import { writeReply } from './replayer.js';
import { type Captured, ResponseRecorder, type Verdict } from './response-recorder.js';

/** What the operations of an application share. */
export interface HttpOperationContext {
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  refusal(code: IdempotencyErrorCode, retryAfterMs?: number): IdempotencyException;
}

/**
 * The owner's way through Nest: runs the rest of the pipeline, holds the reply back, settles the
 * claim by what came out, and lets the reply go.
 */
export class HttpOperation {
  private readonly base: OutgoingHttpHeaders;
  private readonly recorder: ResponseRecorder;
  private error: { readonly thrown: unknown } | undefined;
  private isPipelineDone = false;

  constructor(
    private readonly context: HttpOperationContext,
    private readonly handler: ProtectedHandler,
    exchange: HttpExchange,
    private readonly claim: Claim,
    private readonly run: HandlerRun,
  ) {
    const { raw } = exchange;
    this.base = exchange.response.getHeaders();
    this.recorder = new ResponseRecorder(
      raw,
      raw === (exchange.response as unknown),
      context.maxResponseBytes,
      (captured) => this.settle(captured),
      () => this.watchForEnd(),
    );
    if (raw.destroyed) this.watchForEnd();
  }

  /** Runs what lies behind the interceptor, and notes how it ends. */
  execute(next: CallHandler): Observable<unknown> {
    const source = handlerRuns.run(this.run, () => next.handle());
    return new Observable((subscriber) => {
      const inner = source.subscribe({
        next: (value) => subscriber.next(value),
        error: (thrown: unknown) => {
          this.isPipelineDone = true;
          this.error = { thrown };
          subscriber.error(thrown);
        },
        complete: () => {
          this.isPipelineDone = true;
          subscriber.complete();
        },
      });
      return () => {
        if (!this.isPipelineDone) this.run.isDetached = true;
        this.isPipelineDone = true;
        inner.unsubscribe();
      };
    });
  }

  private settle(captured: Captured): Awaitable<Verdict> {
    const { claim, run } = this;
    // The handler has held it, or whoever answers now is not the first to do so.
    if (!claim.isRunning) return 'send';
    if (run.isDetached && run.hasStarted && !run.hasEnded) {
      // A time-out answered in the handler's place: its own end settles the claim.
      run.onEnd(() => void this.settleDetached());
      return 'send';
    }
    // Guards, pipes and validation: nothing has happened, so nothing is kept.
    if (!run.hasStarted) return this.release();
    if (captured.kind === 'cut-off')
      return run.hasFailed ? this.release() : this.complete(NOT_KEPT);
    if (captured.kind === 'broken') return this.fail(captured.error, 500, NOT_KEPT);
    const { status, headers, body } = captured;
    const reply =
      body === undefined
        ? NOT_KEPT
        : encodeHttpReply(status, recordableHeaders(headers, this.base), body);
    return this.error !== undefined || !isDeterministic(status)
      ? this.fail(this.error?.thrown, status, reply)
      : this.complete(reply);
  }

  private fail(error: unknown, status: number, reply: Uint8Array): Awaitable<Verdict> {
    return chain(decideOnFailure(this.handler, error, status), (decision) => {
      switch (decision) {
        case 'store':
          return this.complete(reply);
        case 'hold':
          return chain(this.claim.hold(`failed with status ${status}`), () => 'send' as const);
        case 'release':
          return this.release();
      }
    });
  }

  private complete(reply: Uint8Array): Awaitable<Verdict> {
    if (!this.handler.keepsReply) return this.release();
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
      case 'superseded': {
        const winner = decodeReply(settlement.reply);
        return (raw) =>
          winner.kind === 'http'
            ? writeReply(raw, this.base, winner)
            : writeProblem(raw, this.base, this.context.refusal('IDEMPOTENCY_REPLY_NOT_KEPT'));
      }
      case 'lost': {
        const { retryAfterMs } = this.handler.policy;
        return (raw) =>
          writeProblem(
            raw,
            this.base,
            this.context.refusal('IDEMPOTENCY_KEY_IN_USE', retryAfterMs),
          );
      }
    }
  }

  /** The handler ended after somebody else had answered: its work is done, its reply is not there. */
  private async settleDetached(): Promise<void> {
    if (!this.claim.isRunning) return;
    if (this.run.hasFailed) await this.claim.release();
    else await this.complete(NOT_KEPT);
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
