import { AsyncResource } from 'node:async_hooks';
import {
  type CallHandler,
  type ExecutionContext,
  HttpException,
  Inject,
  Injectable,
  Logger,
} from '@nestjs/common';
import { defer, lastValueFrom, mergeMap, type Observable, toArray } from 'rxjs';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../options/module-definition.js';
import type { IdempotencyModuleOptions } from '../../options/idempotency.options.js';
import { EmittedValues } from '../../replies/reply.js';
import { DirectEntry } from '../direct-entry.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { type Begun, type Entry, Operations, type RefusalReason } from '../operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { reportedException } from '../reported-exception.js';
import { encodeRecoveredValue } from '../recovery-call.js';
import { Deliveries, type Delivery, type Verdict } from './delivery.js';
import { MessageCall } from './message-call.js';
import { handlersOfMessage } from './message-handlers.js';
import { RpcErrors } from './rpc-errors.js';
import { isOneWay, isRmq } from './transport-context.js';

/** Refusals that say that there is nothing to be done any more: an event is through with them. */
const SKIPPED: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_DUPLICATE',
  'IDEMPOTENCY_REPLY_NOT_KEPT',
  'IDEMPOTENCY_STATE_CONFLICT',
  'IDEMPOTENCY_VERSION_CONFLICT',
]);
/** A duplicate of what is running goes back to the queue: nothing has failed. */
const ELSEWHERE: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_KEY_IN_USE',
]);
/** What may still come true, although nobody can say when. */
const PERHAPS_LATER: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_RESOURCE_NOT_FOUND',
]);
/** Statuses by which pipes and handlers say that the message itself is wrong. */
const WRONG_MESSAGE: ReadonlySet<number> = new Set([400, 422]);

/** Whatever a handler of messages fails with, the redelivery is to run. */
const RELEASE = (): 'release' => 'release';

/** An event that ends without a value would end the other handlers of it. */
const THROUGH = [undefined];

/** The way of a call that came in as a message. */
@Injectable()
export class RpcEntry implements Entry<MessageCall> {
  private readonly logger = new Logger('Idempotency');
  readonly encodeRecovered = encodeRecoveredValue;
  private readonly problemBaseUrl: string | undefined;
  private readonly operations = new Operations<MessageCall>(this);
  private readonly deliveries: Deliveries;
  private readonly taken = new WeakSet<ExecutionContext>();

  constructor(
    readonly engine: IdempotencyEngine,
    private readonly direct: DirectEntry,
    private readonly handlers: HandlerRegistry,
    private readonly errors: RpcErrors,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
    this.deliveries = new Deliveries(engine.clock, this.logger);
  }

  /** Claims, then runs, replays or refuses; what the handler emits leaves once it is on record. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    // Registered globally as well: the first one has claimed.
    if (this.taken.has(context)) return next.handle();
    this.taken.add(context);
    const rpc = context.switchToRpc();
    const call = new MessageCall(handler.scope, rpc.getData(), rpc.getContext());
    const delivery = this.deliveryOf(call, handler);
    const run = AsyncResource.bind(() => this.run(call, next, handler, delivery));
    // An interceptor further out may try again.
    const through = (): boolean => this.taken.delete(context);
    return defer(() => run().finally(through)).pipe(mergeMap((values) => values));
  }

  exception(
    { scope }: MessageCall,
    code: IdempotencyErrorCode,
    reason: RefusalReason,
  ): IdempotencyException {
    return reportedException(scope, code, reason, this.problemBaseUrl);
  }

  private async run(
    call: MessageCall,
    next: CallHandler,
    handler: ProtectedHandler,
    delivery: Delivery | undefined,
  ): Promise<readonly unknown[]> {
    const isEvent = handler.message!.isEvent || isOneWay(call.context);
    const told = (verdict: Verdict): void => delivery?.end(handler, verdict);
    let begun: Begun | undefined;
    try {
      begun = await this.operations.begin(call, handler);
      const values = await this.goOn(begun, call, next, handler);
      told('acknowledge');
      return isEvent && values.length === 0 ? THROUGH : values;
    } catch (error) {
      const outcome = begun?.beginning.outcome;
      const isSkipped = isEvent && isOneOf(SKIPPED, error, outcome);
      const isThrough = !isEvent || isSkipped || outcome === 'replay';
      // Whoever waits for a reply learns of the error, and decides.
      told(isThrough ? 'acknowledge' : verdictOn(error));
      if (isSkipped || (delivery && isEvent && isOneOf(ELSEWHERE, error, outcome))) return THROUGH;
      throw isIdempotencyError(error) ? this.errors.refusal(error, call.context) : error;
    }
  }

  private async goOn(
    begun: Begun | undefined,
    { key, scope, principal }: MessageCall,
    next: CallHandler,
    { policy, method, onError = begun?.onError ?? RELEASE }: ProtectedHandler,
  ): Promise<readonly unknown[]> {
    const running = { key, scope, principal, policy, method, onError, endings: begun };
    const work = async (): Promise<unknown> =>
      EmittedValues.of(await lastValueFrom(next.handle().pipe(toArray())));
    return EmittedValues.listOf(
      begun === undefined || begun.beginning.outcome === 'joined'
        ? await this.direct.runUnprotected(running, work)
        : await this.direct.goOn(begun.beginning, running, work),
    );
  }

  private deliveryOf(call: MessageCall, handler: ProtectedHandler): Delivery | undefined {
    const { context } = call;
    if (!handler.acknowledges || !isRmq(context)) return undefined;
    const handlers = handlersOfMessage(handler, context.getPattern(), this.handlers);
    const delivery = this.deliveries.of(context, handlers);
    delivery.begin();
    return delivery;
  }
}

/** True for what this call was refused with; a refusal from within its handler is a failure. */
function isOneOf(
  codes: ReadonlySet<IdempotencyErrorCode>,
  error: unknown,
  outcome: Begun['beginning']['outcome'] | undefined,
): boolean {
  const isOwn = outcome === 'refused' || outcome === 'replay';
  return isOwn && isIdempotencyError(error) && codes.has(error.code);
}

/** What becomes of an event whose handler did not come to a good end. */
function verdictOn(error: unknown): Verdict {
  if (isIdempotencyError(error))
    return error.retryable || PERHAPS_LATER.has(error.code) ? 'requeue' : 'reject';
  const isWrong = error instanceof HttpException && WRONG_MESSAGE.has(error.getStatus());
  return isWrong ? 'reject' : 'requeue';
}
