import { type CallHandler, type ExecutionContext, Injectable, Logger } from '@nestjs/common';
import { from, lastValueFrom, type Observable, toArray } from 'rxjs';
import { type FailureForm, statusOf } from '../../calls/failure.js';
import { type Fate, MessageFates } from '../../calls/message-fates.js';
import { type Outcome, ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { notProtected } from '../../handlers/not-protected.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { isIdempotencyError } from '../../operation/idempotency.exception.js';
import { plainnessOf } from '../../replies/plain-values.js';
import { EmittedValues } from '../../replies/reply.js';
import { Deliveries, type Delivery, type Verdict } from './delivery.js';
import { GolevelupAnswers } from './golevelup-answers.js';
import { isToolCall, toolFailure, toolRefusal } from './mcp.js';
import { MessageCall, settlersOf } from './messages.js';
import { RmqServers } from './rmq-servers.js';
import { RpcErrors } from './rpc-errors.js';
import { keptIfPossible, sentView } from './sent-view.js';
import { isGrpc, isRmq, redeliversFailed } from './transport-context.js';
import {
  codeOf,
  idOf,
  isAnswered,
  SKIPPED,
  THROUGH,
  type Unsuccessful,
  unsuccessful,
  verdictOn,
} from './verdicts.js';

/** Whatever the error of a message handler, a redelivery must run. */
const RELEASED: FailureForm = { statusOf, byDefault: () => 'release' };

const BATCH =
  'it gets several messages at once. Remove @Idempotent(), and protect the work for each message with IdempotencyService.run().';

/** Calls that are messages. */
@Injectable()
export class RpcTransport extends ValueInterceptor<MessageCall> {
  readonly kind = 'rpc';
  override readonly reportsRefusals = true;
  protected override readonly failures = RELEASED;
  protected override readonly isAgain = (value: unknown): boolean =>
    this.golevelup.isNack(EmittedValues.listOf(value).at(-1));
  private readonly deliveries: Deliveries;
  private readonly fates: MessageFates;

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: RpcErrors,
    private readonly handlers: HandlerRegistry,
    private readonly servers: RmqServers,
    private readonly golevelup: GolevelupAnswers,
  ) {
    super(engine, operations);
    const logger = new Logger('Idempotency');
    this.deliveries = new Deliveries(engine.clock, logger);
    this.fates = new MessageFates(engine.events, logger);
  }

  protected override read(context: ExecutionContext, handler: ProtectedHandler): MessageCall {
    const rpc = context.switchToRpc();
    const transport: unknown = rpc.getContext();
    if (Array.isArray(transport)) throw notProtected(handler.name, BATCH);
    const delivery = this.deliveryOf(transport, handler);
    const { isOfMany } = handler.message!;
    return new MessageCall(handler.scope, rpc.getData(), transport, isOfMany, delivery);
  }

  /**
   * What the transport sends. An event has nobody who gets it, so nothing that cannot be kept of it
   * is missed.
   */
  protected override view(value: unknown, call: MessageCall, handler: ProtectedHandler): unknown {
    const { context } = call;
    const { values } = handler;
    if (!isAnswered(call, handler)) return keptIfPossible(value, values);
    if (isGrpc(context)) return value;
    // An application may send anything else than JSON, such as bytes.
    if (handler.message!.isSettledByLibrary && plainnessOf(value) !== 'special') return value;
    return sentView(value, context, values);
  }

  protected override failureIn(values: unknown, { context }: MessageCall): Error | undefined {
    return isToolCall(context) ? toolFailure(EmittedValues.listOf(values).at(-1)) : undefined;
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
    const isEvent = !isAnswered(call, handler);
    const isSettledByLibrary = handler.message!.isSettledByLibrary;
    let outcome: Outcome | 'none' = 'none';
    try {
      const value = await this.run(
        call,
        handler,
        () => {
          delivery?.reached(handler);
          return this.collected(next.handle());
        },
        (decided) => {
          outcome = decided;
          if (decided?.outcome === 'execute') delivery?.claimed(handler, decided.claim);
        },
      );
      const values = EmittedValues.listOf(value);
      const known = decidedOf(outcome);
      if (isSettledByLibrary) return this.golevelup.returned(values, call, handler, known);
      this.succeeded(call, handler, known);
      return isEvent && values.length === 0 ? THROUGH : values;
    } catch (error) {
      const ended = unsuccessful(error, outcome);
      const { refusal, isReplay } = ended;
      if (isSettledByLibrary)
        return this.golevelup.ended(call, handler, ended, this.shown(error, call));
      if (isEvent) return this.eventEnded(call, handler, ended);
      const isRefused = refusal !== undefined && !isReplay;
      // A caller who waits for a reply gets the error and decides.
      delivery?.end(handler, ranByHand(handler, ended) ? 'nothing' : 'acknowledge');
      if (isRefused)
        this.fates.report('answered', handler, { scope: call.scope, code: refusal.code });
      const shown = this.shown(error, call);
      // A refusal by a method that the tool calls tells the agent as much as one of the tool itself.
      if (isIdempotencyError(error) && isToolCall(call.context)) return [toolRefusal(error)];
      throw shown;
    }
  }

  private succeeded(call: MessageCall, handler: ProtectedHandler, outcome: Outcome): void {
    const { delivery } = call;
    if (delivery === undefined) return;
    if (delivery.takeReturned())
      this.fates.report('returned', handler, {
        scope: call.scope,
        code: 'HANDLER_GAVE_BACK',
        id: idOf(outcome),
      });
    const isByHand = handler.acknowledges !== true && outcome?.outcome !== 'replay';
    delivery.end(handler, isByHand ? 'nothing' : 'acknowledge');
  }

  /** Nobody waits for a reply: the queue is told what becomes of the event, and so is the log. */
  private eventEnded(
    call: MessageCall,
    handler: ProtectedHandler,
    ended: Unsuccessful,
  ): readonly unknown[] {
    const { delivery, context, scope } = call;
    const { error, refusal, isReplay, id, isLast } = ended;
    // A recorded failure is the operation's result, which is known already.
    if (isReplay || (refusal !== undefined && SKIPPED.has(refusal.code))) {
      delivery?.end(handler, 'acknowledge');
      if (!isReplay) this.fates.report('skipped', handler, { scope, code: codeOf(ended) });
      return THROUGH;
    }
    const verdict = this.verdictOn(handler, ended, delivery);
    const fate = fateOf(verdict, ended, delivery, context);
    // Whoever reads the errors of handlers gets them; refusals are reported already. A transport
    // that delivers again after an error must not do so for ever.
    const repeats = delivery === undefined && redeliversFailed(context);
    const isOver = refusal === undefined ? isLast && repeats : verdict === 'reject' || !repeats;
    const hidden = isOver && refusal === undefined ? { error } : {};
    if (fate !== undefined)
      this.fates.report(fate, handler, { scope, code: codeOf(ended), id, ...hidden });
    delivery?.end(handler, verdict);
    if (isOver) return THROUGH;
    throw this.shown(error, call);
  }

  private verdictOn(
    handler: ProtectedHandler,
    ended: Unsuccessful,
    delivery: Delivery | undefined,
  ): Verdict {
    if (ended.isLast) return 'reject';
    return delivery !== undefined && ranByHand(handler, ended) ? 'nothing' : verdictOn(ended.error);
  }

  private deliveryOf(context: unknown, handler: ProtectedHandler): Delivery | undefined {
    if (!isRmq(context)) return undefined;
    if (handler.acknowledges !== true && !this.servers.isManual(context.getChannelRef()))
      return undefined;
    const { isOne, count } = settlersOf(handler, context.getPattern(), this.handlers);
    if (!isOne) return undefined;
    const delivery = this.deliveries.of(context, count);
    delivery.begin();
    return delivery;
  }
}

function decidedOf(outcome: Outcome | 'none'): Outcome {
  return outcome === 'none' ? undefined : outcome;
}

/** The handler ran, and it settles its messages itself. */
function ranByHand(
  { acknowledges }: ProtectedHandler,
  { refusal, isReplay }: Unsuccessful,
): boolean {
  return acknowledges !== true && refusal === undefined && !isReplay;
}

/** `undefined` if the handler, or whoever handles its errors, decides. */
function fateOf(
  verdict: Verdict,
  { refusal, isLast }: Unsuccessful,
  delivery: Delivery | undefined,
  context: unknown,
): Fate | undefined {
  if (delivery !== undefined) return FATES[verdict];
  const isOver = isLast || (refusal !== undefined && verdict === 'reject');
  return isOver || !redeliversFailed(context) ? 'dropped' : 'returned';
}

const FATES = {
  acknowledge: 'skipped',
  reject: 'rejected',
  requeue: 'returned',
  nothing: undefined,
} as const satisfies Record<Verdict, Fate | undefined>;
