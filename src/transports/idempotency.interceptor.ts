import {
  type CallHandler,
  type ExecutionContext,
  Inject,
  Injectable,
  type NestInterceptor,
  SetMetadata,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { TRANSPORTS, type Transports } from '../calls/transport.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';
import { RECORDING_METADATA } from '../options/metadata.js';

/**
 * Claims the operation, and runs, replays or refuses it. `@Idempotent()` attaches it. If it is
 * registered globally too, it ignores every other handler and claims no operation twice.
 */
@Injectable()
@SetMetadata(RECORDING_METADATA, true)
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly handlers: HandlerRegistry,
    @Inject(TRANSPORTS) private readonly transports: Transports,
  ) {}

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    const handler = this.handlers.of(context);
    const transport = handler && this.transports.get(handler.kind);
    if (handler === undefined || transport === undefined) return next.handle();
    return transport.intercept(context, next, handler) as
      Observable<unknown> | Promise<Observable<unknown>>;
  }
}
