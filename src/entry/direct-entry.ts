import { HttpException, Inject, Injectable } from '@nestjs/common';
import type { Claim, Settlement } from '../engine/claim.js';
import { IdempotencyEngine } from '../engine/engine.js';
import type { OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import { IdempotencyException } from '../idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../idempotency.module-definition.js';
import type { IdempotencyModuleOptions, IdempotentOptions } from '../idempotency.options.js';
import {
  decodeReply,
  encodeErrorReply,
  encodeValueReply,
  NOT_KEPT,
  UnreadableReplyError,
} from '../replies/codec.js';
import type { Reply } from '../replies/reply.js';
import { CurrentOperation } from './current-operation.js';
import { decideOnFailure, statusOf } from './failure.js';
import { HandlerRun, handlerRuns } from './handler-run.js';
import type { IdempotentOperation } from './idempotent-operation.js';
import { encodeRecoveredValue, recovery } from './recovery-call.js';

/** A call that did not come in through a framework. */
export interface DirectCall {
  readonly id: string;
  readonly key: string;
  readonly scope: string;
  readonly principal: string | undefined;
  readonly fingerprint: string;
  readonly policy: OperationPolicy;
  readonly transaction: OperationRequest['transaction'];
  readonly onError: IdempotentOptions['onError'];
  readonly recover: IdempotentOptions['recover'];
}

/** An `HttpException` on record: what it takes to throw an equal one. */
interface KeptHttpError {
  readonly response: string | object;
  readonly status: number;
}

/** The way of code that asks for protection itself: values are recorded instead of bytes. */
@Injectable()
export class DirectEntry {
  private readonly problemBaseUrl: string | undefined;

  constructor(
    private readonly engine: IdempotencyEngine,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /** @throws {@link IdempotencyException} for every refusal, and what `fn` throws */
  async run<T>(
    call: DirectCall,
    fn: (operation: IdempotentOperation) => T | PromiseLike<T>,
  ): Promise<T> {
    const { id, scope, fingerprint, policy, transaction } = call;
    const recover = call.recover && recovery(call.recover, call, id, encodeRecoveredValue);
    const request: OperationRequest = { id, scope, fingerprint, policy, transaction, recover };
    const beginning = await this.engine.begin(request);
    switch (beginning.outcome) {
      case 'execute':
        return this.execute(call, beginning.claim, fn);
      case 'replay':
        return this.replay<T>(beginning.reply);
      case 'refused':
        throw this.refusal(beginning.code, beginning);
      case 'unprotected': {
        const operation = new CurrentOperation(call, undefined);
        return handlerRuns.run(new HandlerRun(fn, operation, undefined), () =>
          Promise.resolve(fn(operation)),
        );
      }
    }
  }

  private async execute<T>(
    call: DirectCall,
    claim: Claim,
    fn: (operation: IdempotentOperation) => T | PromiseLike<T>,
  ): Promise<T> {
    const operation = new CurrentOperation(call, claim);
    const run = new HandlerRun(fn, operation, claim);
    let value: T;
    try {
      value = await handlerRuns.run(run, () => claim.run(async () => fn(operation)));
    } catch (error) {
      await this.fail(call, claim, error);
      throw error;
    }
    if (!claim.isRunning) return value;
    return this.winnerOr(await claim.complete(await this.encode(claim, value)), value, call);
  }

  /** A value that cannot be kept is the caller's mistake: the work may be repeated, so it is held. */
  private async encode(claim: Claim, value: unknown): Promise<Uint8Array> {
    try {
      return encodeValueReply(value);
    } catch (error) {
      await claim.hold('the value returned cannot be kept');
      throw error;
    }
  }

  private async fail(call: DirectCall, claim: Claim, error: unknown): Promise<void> {
    if (!claim.isRunning) return;
    const status = statusOf(error);
    switch (await decideOnFailure(call, error, status)) {
      case 'store':
        await claim.fail(encodedError(error));
        return;
      case 'hold':
        await claim.hold(`failed with status ${status}`);
        return;
      case 'release':
        await claim.release();
    }
  }

  private winnerOr<T>(settlement: Settlement, value: T, { policy }: DirectCall): T {
    switch (settlement.outcome) {
      case 'stored':
      case 'deferred':
        return value;
      case 'superseded':
        return this.replay<T>(settlement.reply);
      case 'lost':
        throw this.refusal('IDEMPOTENCY_KEY_IN_USE', policy);
      case 'undone': {
        const { retryAfterMs } = policy;
        const { cause } = settlement;
        throw this.refusal('IDEMPOTENCY_STORE_UNAVAILABLE', { retryAfterMs, cause });
      }
    }
  }

  private replay<T>(recorded: Uint8Array): T {
    let reply: Reply;
    try {
      reply = decodeReply(recorded);
    } catch (cause) {
      if (!(cause instanceof UnreadableReplyError)) throw cause;
      throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
    }
    switch (reply.kind) {
      case 'value':
        return reply.value as T;
      case 'error':
        throw thrown(reply.error);
      case 'not-kept':
        throw this.refusal('IDEMPOTENCY_REPLY_NOT_KEPT');
      case 'http':
        throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE');
    }
  }

  private refusal(
    code: IdempotencyErrorCode,
    from: { retryAfterMs?: number; cause?: unknown } = {},
  ): IdempotencyException {
    const { retryAfterMs, cause } = from;
    return new IdempotencyException(code, {
      retryAfterMs,
      cause,
      problemBaseUrl: this.problemBaseUrl,
    });
  }
}

/** An error that cannot be kept leaves the tombstone: the operation is not run again. */
function encodedError(error: unknown): Uint8Array {
  try {
    return encodeErrorReply(keepable(error));
  } catch {
    return NOT_KEPT;
  }
}

/** V8 keeps errors with name, message and stack; an `HttpException` needs its response as well. */
function keepable(error: unknown): unknown {
  if (!(error instanceof HttpException)) return error;
  return { response: error.getResponse(), status: error.getStatus() } satisfies KeptHttpError;
}

function thrown(kept: unknown): unknown {
  const { response, status } = (kept ?? {}) as Partial<KeptHttpError>;
  return response !== undefined && status !== undefined
    ? new HttpException(response, status)
    : kept;
}
