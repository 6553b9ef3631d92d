import { type CallHandler, type ExecutionContext, Injectable, Logger } from '@nestjs/common';
import { defer, from, lastValueFrom, type Observable, ReplaySubject, toArray } from 'rxjs';
import { type FailureForm, statusOf } from '../../calls/failure.js';
import { Connections, NamelessClients } from '../../calls/connections.js';
import { MessageFates } from '../../calls/message-fates.js';
import { ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { HandlerResolver } from '../../handlers/handler-resolver.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { isIdempotencyError } from '../../operation/idempotency.exception.js';
import { sentAsJson } from '../../replies/json-view.js';
import { EmittedValues } from '../../replies/reply.js';
import { Acknowledgement } from './acknowledgement.js';
import { EventCall, hasManyNamespaces, isGone, type SocketClient } from './events.js';
import { WsErrors } from './ws-errors.js';

/** Whatever the error of a handler, the client's retry must run. */
const RELEASED: FailureForm = { statusOf, byDefault: () => 'release' };

const REMEDY =
  'Put the user on socket.data.user, set the option principal, or have clients send a secret in the handshake (auth).';

/** Calls that are events of web sockets. */
@Injectable()
export class WsTransport extends ValueInterceptor<EventCall> {
  readonly kind = 'ws';
  protected override readonly failures = RELEASED;
  private readonly logger = new Logger('Idempotency');
  private readonly fates: MessageFates;
  private readonly connections = new Connections();
  private readonly nameless: NamelessClients;
  /** Whether the gateway of a handler has many namespaces. */
  private readonly ofMany = new WeakMap<ProtectedHandler, boolean>();

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: WsErrors,
    resolver: HandlerResolver,
  ) {
    super(engine, operations);
    this.nameless = new NamelessClients(resolver.credentials, this.logger);
    this.fates = new MessageFates(engine.events, this.logger);
  }

  /**
   * Begins at once, and goes on when the socket disconnects. Nest would stop listening, and an event
   * that was received would not be handled.
   */
  override intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    const answered = super.intercept(context, next, handler);
    const first = new ReplaySubject<unknown>();
    let isTaken = false;
    answered.subscribe(first);
    return defer(() => {
      if (isTaken) return answered;
      isTaken = true;
      return first;
    });
  }

  protected override read(context: ExecutionContext, handler: ProtectedHandler): EventCall {
    const args = context.getArgs<unknown[]>();
    const [client, data] = args as [SocketClient, unknown];
    const connection = this.connections.of(client);
    const ofMany = this.isOfMany(context.getClass(), handler);
    const call = new EventCall(handler.scope, data, client, connection, ofMany);
    if (handler.scopeOf !== undefined) call.scope = handler.scopeOf(call.request);
    call.sent = { pattern: context.switchToWs().getPattern(), data };
    call.acknowledgement = Acknowledgement.in(args, () => this.tellLate(call));
    return call;
  }

  /** Sockets send JSON, and bytes beside it. */
  protected override view(value: unknown, _call: EventCall, { values }: ProtectedHandler): unknown {
    return sentAsJson(value, values);
  }

  protected override emitted(values: unknown): Observable<unknown> {
    return from(values as readonly unknown[]);
  }

  protected override async answer(
    call: EventCall,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Promise<readonly unknown[]> {
    const { acknowledgement } = call;
    try {
      const reply = await this.run(call, handler, async () => {
        const values = await lastValueFrom(next.handle().pipe(toArray()));
        return acknowledgement?.replyOf(values) ?? EmittedValues.of(values);
      });
      return Acknowledgement.sent(reply, acknowledgement);
    } catch (error) {
      if (isGone(call.client)) this.tellGone(call, handler, error);
      throw this.shown(error, call);
    } finally {
      acknowledgement?.end();
    }
  }

  /** Called for an event whose client cannot be told apart from others but by its connection. */
  unknownCaller(call: EventCall, handler: ProtectedHandler): void {
    this.nameless.notice(call, handler, REMEDY);
  }

  private isOfMany(type: NewableFunction, handler: ProtectedHandler): boolean {
    let is = this.ofMany.get(handler);
    if (is === undefined) {
      is = hasManyNamespaces(type);
      this.ofMany.set(handler, is);
    }
    return is;
  }

  /** The client does not hear of it, and Nest does not listen any more. */
  private tellGone({ scope }: EventCall, handler: ProtectedHandler, error: unknown): void {
    const code = isIdempotencyError(error) ? error.code : 'HANDLER_FAILED';
    this.fates.report('dropped', handler, { scope, code, error });
  }

  private tellLate({ scope }: EventCall): void {
    this.logger.error(
      `${scope}: the handler acknowledged after it had ended, so the acknowledgement is not on record and a retry gets none. Await the work before the handler returns.`,
    );
  }
}
