import {
  type CallHandler,
  type ExecutionContext,
  HttpException,
  Injectable,
  Logger,
} from '@nestjs/common';
import { from, lastValueFrom, type Observable, toArray } from 'rxjs';
import { type FailureForm, statusOf } from '../../calls/failure.js';
import { type Outcome, ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { isIdempotencyError } from '../../operation/idempotency.exception.js';
import { EmittedValues } from '../../replies/reply.js';
import { Deliveries, type Delivery, type Verdict } from './delivery.js';
import { handlersOfMessage, MessageCall } from './messages.js';
import { RpcErrors } from './rpc-errors.js';
import { isOneWay, isRmq } from './transport-context.js';

/** Refusals that mean that there is nothing left to do. They complete an event. */
const SKIPPED: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_DUPLICATE',
  'IDEMPOTENCY_REPLY_NOT_KEPT',
  'IDEMPOTENCY_STATE_CONFLICT',
  'IDEMPOTENCY_VERSION_CONFLICT',
]);
/** A duplicate of a running operation goes back to the queue, because nothing has failed. */
const ELSEWHERE: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_KEY_IN_USE',
]);
/** Preconditions that may still be met, although nobody knows when. */
const PERHAPS_LATER: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_RESOURCE_NOT_FOUND',
]);
/** Statuses with which pipes and handlers say that the message itself is wrong. */
const WRONG_MESSAGE: ReadonlySet<number> = new Set([400, 422]);

/** Whatever the error of a message handler, a redelivery must run. */
const RELEASED: FailureForm = { statusOf, byDefault: () => 'release' };

/** An event that ends without a value would end its other handlers. */
const THROUGH = [undefined];

/** Calls that are messages. */
@Injectable()
export class RpcTransport extends ValueInterceptor<MessageCall> {
  readonly kind = 'rpc';
  protected override readonly failures = RELEASED;
  private readonly deliveries: Deliveries;

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: RpcErrors,
    private readonly handlers: HandlerRegistry,
  ) {
    super(engine, operations);
    this.deliveries = new Deliveries(engine.clock, new Logger('Idempotency'));
  }

  protected override read(context: ExecutionContext, handler: ProtectedHandler): MessageCall {
    const rpc = context.switchToRpc();
    const transport: unknown = rpc.getContext();
    const delivery = this.deliveryOf(transport, handler);
    return new MessageCall(handler.scope, rpc.getData(), transport, delivery);
  }

  protected override async collected(emitted: Observable<unknown>): Promise<unknown> {
    return EmittedValues.of(await lastValueFrom(emitted.pipe(toArray())));
  }

  protected override emitted(values: unknown): Observable<unknown> {
    return from(values as readonly unknown[]);
  }

  /** Tells the queue the outcome of the message, and the caller what to expect. */
  protected override async answer(
    call: MessageCall,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Promise<readonly unknown[]> {
    const { delivery } = call;
    const isEvent = handler.message!.isEvent || isOneWay(call.context);
    let outcome: Outcome;
    try {
      const value = await this.run(
        call,
        handler,
        () => this.collected(next.handle()),
        (decided) => (outcome = decided),
      );
      delivery?.end(handler, 'acknowledge');
      const values = EmittedValues.listOf(value);
      return isEvent && values.length === 0 ? THROUGH : values;
    } catch (error) {
      const isSkipped = isEvent && isOneOf(SKIPPED, error, outcome);
      const isThrough = !isEvent || isSkipped || outcome?.outcome === 'replay';
      // A caller who waits for a reply gets the error and decides.
      delivery?.end(handler, isThrough ? 'acknowledge' : verdictOn(error));
      if (isSkipped || (delivery && isEvent && isOneOf(ELSEWHERE, error, outcome))) return THROUGH;
      throw this.shown(error, call);
    }
  }

  private deliveryOf(context: unknown, handler: ProtectedHandler): Delivery | undefined {
    if (!handler.acknowledges || !isRmq(context)) return undefined;
    const handlers = handlersOfMessage(handler, context.getPattern(), this.handlers);
    const delivery = this.deliveries.of(context, handlers);
    delivery.begin();
    return delivery;
  }
}

/** True for the refusal of this call. A refusal from within its handler is a failure. */
function isOneOf(
  codes: ReadonlySet<IdempotencyErrorCode>,
  error: unknown,
  outcome: Outcome,
): boolean {
  const isOwn = outcome?.outcome === 'refused' || outcome?.outcome === 'replay';
  return isOwn && isIdempotencyError(error) && codes.has(error.code);
}

/** What the queue is told about an event whose handler failed. */
function verdictOn(error: unknown): Verdict {
  if (isIdempotencyError(error))
    return error.retryable || PERHAPS_LATER.has(error.code) ? 'requeue' : 'reject';
  const isWrong = error instanceof HttpException && WRONG_MESSAGE.has(error.getStatus());
  return isWrong ? 'reject' : 'requeue';
}
