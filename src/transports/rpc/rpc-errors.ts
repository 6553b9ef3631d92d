import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { ErrorForm } from '../../calls/value-call.js';
import { notInstalled } from '../../engine/configuration-error.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { REPLY_VALUES } from '../../options/module-definition.js';
import type { ReplyValues } from '../../replies/values.js';
import type { MessageCall } from './messages.js';
import { isRawMessage } from './golevelup.js';
import { addContexts, isGrpc, isKafka } from './transport-context.js';

type RpcExceptionClass = new (error: string | object) => Error;

/**
 * The part of `@nestjs/microservices` that is used. It is installed if there is a handler of
 * messages.
 */
interface Microservices {
  readonly RpcException: RpcExceptionClass;
  readonly KafkaRetriableException: RpcExceptionClass;
}

/** https://grpc.io/docs/guides/status-codes, by the status of the refusal. */
const GRPC_CODES: Readonly<Record<number, number>> = {
  400: 3, // INVALID_ARGUMENT
  404: 5, // NOT_FOUND
  409: 10, // ABORTED
  412: 9, // FAILED_PRECONDITION
  422: 3, // INVALID_ARGUMENT
  428: 9, // FAILED_PRECONDITION
  503: 14, // UNAVAILABLE
};
const GRPC_INTERNAL = 13;

/** Errors in the form that Nest sends to the caller who waits for a reply. */
@Injectable()
export class RpcErrors implements ErrorForm<Pick<MessageCall, 'context'>>, OnModuleInit {
  private microservices: Microservices | undefined;

  constructor(
    private readonly handlers: HandlerRegistry,
    @Inject(REPLY_VALUES) private readonly values: ReplyValues,
  ) {}

  /** From then on, the exceptions of messages come back from records as what they were. */
  async onModuleInit(): Promise<void> {
    if (!isOfNest(this.handlers)) return;
    try {
      this.microservices = (await import('@nestjs/microservices')) as unknown as Microservices;
    } catch (cause) {
      throw notInstalled('message handlers', '@nestjs/microservices', cause);
    }
    addContexts(this.microservices);
    // By their exported names, because a bundler may have renamed the classes.
    for (const name of ['RpcException', 'KafkaRetriableException'] as const)
      this.values.types.add({
        name: `@nestjs/microservices:${name}`,
        class: this.microservices[name],
        trust: 'data',
        coversSubclasses: true,
      });
  }

  /**
   * An `RpcException` with the problem details and the refusal as its cause. The error handlers of
   * `@golevelup/nestjs-rabbitmq` get the refusal itself.
   */
  refusal(cause: IdempotencyException, { context }: Pick<MessageCall, 'context'>): Error {
    if (isRawMessage(context)) return cause;
    const { RpcException, KafkaRetriableException } = this.microservices!;
    // Kafka redelivers a message only after this exception.
    const made = cause.retryable && isKafka(context) ? KafkaRetriableException : RpcException;
    return Object.assign(new made(isGrpc(context) ? grpcError(cause) : rpcError(cause)), { cause });
  }
}

/** True if one of the handlers is Nest's, so that `@nestjs/microservices` is there. */
function isOfNest(handlers: HandlerRegistry): boolean {
  for (const { message } of handlers.ofKind('rpc'))
    if (message?.isSettledByLibrary !== true) return true;
  return false;
}

function rpcError({ problem, retryAfterSeconds }: IdempotencyException): object {
  return { ...problem, message: problem.title, retryAfter: retryAfterSeconds };
}

function grpcError({ problem }: IdempotencyException): object {
  const code = GRPC_CODES[problem.status] ?? GRPC_INTERNAL;
  return { code, message: `${problem.code}: ${problem.detail}` };
}
