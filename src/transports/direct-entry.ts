import { HttpException, Inject, Injectable } from '@nestjs/common';
import type { Claim, Settlement } from '../engine/claim.js';
import { IdempotencyEngine } from '../engine/engine.js';
import type { Beginning, OperationPolicy, OperationRequest } from '../engine/operation.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import type {
  IdempotencyModuleOptions,
  IdempotentOptions,
} from '../options/idempotency.options.js';
import {
  decodeReply,
  encodeErrorReply,
  encodeValueReply,
  NOT_KEPT,
  UnreadableReplyError,
} from '../replies/codec.js';
import type { Reply } from '../replies/reply.js';
import { CurrentOperation, type OperationIdentity } from '../operation/current-operation.js';
import { decideOnFailure, statusOf } from '../handlers/failure.js';
import { HandlerRun, handlerRuns } from '../operation/handler-run.js';
import type { IdempotentOperation } from '../operation/idempotent-operation.js';
import type { KeptErrors, KeptValues } from './kept-results.js';
import { type Endings, exceptionOf } from './operations.js';
import { encodeRecoveredValue, recovery } from './recovery-call.js';
import { RpcErrors } from './rpc/rpc-errors.js';

/** What is known of a call while its work runs. */
export interface RunningCall extends OperationIdentity {
  readonly policy: OperationPolicy;
  readonly onError: IdempotentOptions['onError'];
  readonly endings?: Endings;
  /** The handler that the work leads to: work that does not come so far leaves nothing behind. */
  readonly method?: unknown;
  readonly values?: KeptValues;
  readonly errors?: KeptErrors;
}

/** A call that did not come in through a framework. */
export interface DirectCall extends RunningCall {
  readonly id: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly transaction: OperationRequest['transaction'];
  readonly recover: IdempotentOptions['recover'];
}

/** An `RpcException` on record. */
interface KeptRpcError {
  readonly rpcError: string | object;
}

export type Work<T> = (operation: IdempotentOperation) => T | PromiseLike<T>;

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
    private readonly rpcErrors: RpcErrors,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /** @throws {@link IdempotencyException} for every refusal, and what `fn` throws */
  async run<T>(call: DirectCall, fn: Work<T>): Promise<T> {
    const { id, scope, fingerprint, policy, transaction } = call;
    const recover = call.recover && recovery(call.recover, call, id, encodeRecoveredValue);
    const request: OperationRequest = { id, scope, fingerprint, policy, transaction, recover };
    return this.goOn(await this.engine.begin(request), call, fn);
  }

  /**
   * Does what the engine has decided.
   *
   * @throws {@link IdempotencyException} for every refusal, and what `fn` throws
   */
  async goOn<T>(beginning: Beginning, call: RunningCall, fn: Work<T>): Promise<T> {
    switch (beginning.outcome) {
      case 'execute':
        return this.execute(call, beginning.claim, fn);
      case 'replay':
        return this.replay<T>(beginning.reply, call);
      case 'refused':
        await call.endings?.onRefused?.(beginning.code);
        throw exceptionOf(beginning.code, beginning, this.problemBaseUrl);
      case 'unprotected':
        return this.runUnprotected(call, fn);
    }
  }

  async runUnprotected<T>(call: RunningCall, fn: Work<T>): Promise<T> {
    const operation = new CurrentOperation(call, undefined);
    const run = new HandlerRun(call.method ?? fn, operation, undefined, handlerRuns.getStore());
    return handlerRuns.run(run, () => Promise.resolve(fn(operation)));
  }

  private async execute<T>(call: RunningCall, claim: Claim, fn: Work<T>): Promise<T> {
    const operation = new CurrentOperation(call, claim);
    const run = new HandlerRun(call.method ?? fn, operation, claim, handlerRuns.getStore());
    const isReached = (): boolean => call.method === undefined || run.hasStarted;
    let value: T;
    try {
      value = await claim.run(() => handlerRuns.run(run, async () => fn(operation)));
      const answer = call.endings?.answer;
      if (answer !== undefined) value = (await answer(value, operation)).value as T;
    } catch (error) {
      if (isReached()) await this.fail(call, claim, error);
      else if (claim.isRunning) await claim.release();
      throw error;
    }
    if (!claim.isRunning) return value;
    if (!isReached()) {
      await claim.release();
      return value;
    }
    const reply = claim.keepsReply ? await this.encode(call, claim, value) : NOT_KEPT;
    return this.winnerOr(await claim.complete(reply), value, call);
  }

  /** A value that cannot be kept is the caller's mistake: the work may be repeated, so it is held. */
  private async encode({ values }: RunningCall, claim: Claim, value: unknown): Promise<Uint8Array> {
    try {
      return encodeValueReply(values === undefined ? value : values.keep(value));
    } catch (error) {
      await claim.hold('the value returned cannot be kept');
      throw error;
    }
  }

  private async fail(call: RunningCall, claim: Claim, error: unknown): Promise<void> {
    if (!claim.isRunning) return;
    const status = statusOf(error);
    const onError = call.onError ?? call.endings?.onError;
    switch (await decideOnFailure({ onError }, error, status)) {
      case 'store':
        await claim.fail(encodedError(error, call.errors));
        return;
      case 'hold':
        await claim.hold(`failed with status ${status}`);
        return;
      case 'release':
        await claim.release();
    }
  }

  private winnerOr<T>(settlement: Settlement, value: T, call: RunningCall): T {
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
        const { retryAfterMs } = policy;
        const { cause } = settlement;
        throw this.refusal('IDEMPOTENCY_STORE_UNAVAILABLE', { retryAfterMs, cause });
      }
    }
  }

  /**
   * What is on record, with errors as they were thrown.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_RECORD_UNREADABLE`
   */
  read(recorded: Uint8Array): Reply {
    const reply = this.decode(recorded);
    return reply.kind === 'error' ? { kind: 'error', error: this.thrown(reply.error) } : reply;
  }

  private decode(recorded: Uint8Array): Reply {
    try {
      return decodeReply(recorded);
    } catch (cause) {
      if (!(cause instanceof UnreadableReplyError)) throw cause;
      throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE', { cause });
    }
  }

  private replay<T>(recorded: Uint8Array, { values, errors }: RunningCall): T {
    const reply = this.decode(recorded);
    switch (reply.kind) {
      case 'value':
        return (values === undefined ? reply.value : values.restore(reply.value)) as T;
      case 'error':
        throw errors?.restore(reply.error) ?? this.thrown(reply.error);
      case 'not-kept':
        throw this.refusal('IDEMPOTENCY_REPLY_NOT_KEPT');
      case 'http':
        throw this.refusal('IDEMPOTENCY_RECORD_UNREADABLE');
    }
  }

  private thrown(kept: unknown): unknown {
    const { response, status, rpcError } = (kept ?? {}) as Partial<KeptHttpError & KeptRpcError>;
    if (rpcError !== undefined) return this.rpcErrors.replayed(rpcError);
    return response !== undefined && status !== undefined
      ? new HttpException(response, status)
      : kept;
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
function encodedError(error: unknown, errors: KeptErrors | undefined): Uint8Array {
  try {
    return encodeErrorReply(errors?.keep(error) ?? keepable(error));
  } catch {
    return NOT_KEPT;
  }
}

/** V8 keeps errors with name, message and stack; Nest's own need what they answer with as well. */
function keepable(error: unknown): unknown {
  if (isRpcException(error)) return { rpcError: error.getError() } satisfies KeptRpcError;
  if (!(error instanceof HttpException)) return error;
  return { response: error.getResponse(), status: error.getStatus() } satisfies KeptHttpError;
}

function isRpcException(error: unknown): error is { getError(): string | object } {
  return typeof error === 'object' && error !== null && 'getError' in error;
}
