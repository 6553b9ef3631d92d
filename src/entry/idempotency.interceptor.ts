import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { HandlerRegistry } from './handler-registry.js';
import { HttpEntry } from './http/http-entry.js';

/**
 * Claims the operation and runs, replays or refuses it. Attached by `@Idempotent()`; registered
 * globally beside it, it lets every other handler pass and claims no operation twice.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly http: HttpEntry,
  ) {}

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    const handler = this.handlers.of(context);
    if (handler === undefined || context.getType() !== 'http') return next.handle();
    return this.http.intercept(context, next, handler) as
      Observable<unknown> | Promise<Observable<unknown>>;
  }
}
