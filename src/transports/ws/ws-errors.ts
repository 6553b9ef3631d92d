import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { ErrorForm } from '../../calls/value-call.js';
import { notInstalled } from '../../engine/configuration-error.js';
import { classOf } from '../../handlers/declared-methods.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { REPLY_VALUES } from '../../options/module-definition.js';
import type { ReplyValues } from '../../replies/values.js';
import { type EventCall, events } from './events.js';

type WsExceptionClass = new (error: string | object) => Error;

/** The part of `@nestjs/websockets` that is used. It is installed if there is a gateway. */
interface Websockets {
  readonly WsException: WsExceptionClass;
}

/** Errors in the form that Nest sends to the client, as the event `exception`. */
@Injectable()
export class WsErrors implements ErrorForm<Pick<EventCall, 'sent'>>, OnModuleInit {
  private websockets: Websockets | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    @Inject(REPLY_VALUES) private readonly values: ReplyValues,
  ) {}

  /** From then on, the exceptions of gateways come back from records as what they were. */
  async onModuleInit(): Promise<void> {
    const hasGateway = this.discovery.getProviders().some((wrapper) => {
      const type = classOf(wrapper);
      return type !== undefined && events.isHost!(type);
    });
    if (!hasGateway) return;
    try {
      this.websockets = (await import('@nestjs/websockets')) as unknown as Websockets;
    } catch (cause) {
      throw notInstalled('gateways', '@nestjs/websockets', cause);
    }
    const { WsException } = this.websockets;
    const name = '@nestjs/websockets:WsException';
    this.values.types.add({ name, class: WsException, trust: 'data', coversSubclasses: true });
  }

  /**
   * A `WsException` with the problem details and, as Nest's own have it, what the client had sent:
   * a client with several events under way sees which of them was refused.
   */
  refusal(exception: IdempotencyException, { sent }: Pick<EventCall, 'sent'>): Error {
    const { problem, retryAfterSeconds } = exception;
    const retry =
      retryAfterSeconds === undefined
        ? {}
        : { retryAfter: retryAfterSeconds, retryAfterMs: retryAfterSeconds * 1_000 };
    const error = { ...problem, message: problem.title, ...retry, cause: sent };
    return Object.assign(new this.websockets!.WsException(error), { cause: exception });
  }
}
