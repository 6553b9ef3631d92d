import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { ErrorForm } from '../../calls/value-operations.js';
import { classOf } from '../../handlers/declared-methods.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { type EventCall, events } from './events.js';

type WsExceptionClass = new (error: string | object) => Error;

/** The part of `@nestjs/websockets` that is used. It is installed if there is a gateway. */
interface Websockets {
  readonly WsException: WsExceptionClass;
}

/** A `WsException` on record. */
interface KeptWsError {
  readonly wsError: string | object;
}

/** Errors in the form that Nest sends to the client, as the event `exception`. */
@Injectable()
export class WsErrors implements ErrorForm<Pick<EventCall, 'sent'>>, OnModuleInit {
  private websockets: Websockets | undefined;

  constructor(private readonly discovery: DiscoveryService) {}

  async onModuleInit(): Promise<void> {
    const hasGateway = this.discovery.getProviders().some((wrapper) => {
      const type = classOf(wrapper);
      return type !== undefined && events.isHost!(type);
    });
    if (hasGateway) this.websockets = (await import('@nestjs/websockets')) as unknown as Websockets;
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

  keep(error: unknown): unknown {
    const { WsException } = this.websockets ?? {};
    if (WsException === undefined || !(error instanceof WsException)) return undefined;
    const wsError = (error as Error & { getError(): string | object }).getError();
    return { wsError } satisfies KeptWsError;
  }

  /** Restores a `WsException` that a handler threw. */
  restore(kept: unknown): Error | undefined {
    const { wsError } = (kept ?? {}) as Partial<KeptWsError>;
    if (wsError === undefined) return undefined;
    const { WsException = ForeignWsException } = this.websockets ?? {};
    return new WsException(wsError);
  }
}

/** For a record from an application with gateways that another one without them reads. */
class ForeignWsException extends Error {
  constructor(error: string | object) {
    super(typeof error === 'string' ? error : 'The operation failed.', { cause: error });
  }
}
