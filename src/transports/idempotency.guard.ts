import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { TRANSPORTS, type Transports } from '../calls/transport.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';

/** Refuses calls whose key is missing or malformed, before the store is asked. */
@Injectable()
export class IdempotencyGuard implements CanActivate {
  constructor(
    private readonly handlers: HandlerRegistry,
    @Inject(TRANSPORTS) private readonly transports: Transports,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const handler = this.handlers.of(context);
    if (handler !== undefined) this.transports.get(handler.kind)?.check?.(context, handler);
    return true;
  }
}
