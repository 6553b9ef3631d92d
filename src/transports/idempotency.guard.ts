import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { HttpEntry } from './http/http-entry.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';

/** Refuses calls whose key is missing or malformed, before anything is asked of the store. */
@Injectable()
export class IdempotencyGuard implements CanActivate {
  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly http: HttpEntry,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const handler = this.handlers.of(context);
    if (handler?.kind === 'http') this.http.check(context, handler);
    return true;
  }
}
