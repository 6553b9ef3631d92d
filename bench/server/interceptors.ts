import {
  type CallHandler,
  ConflictException,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { type Observable, of, tap } from 'rxjs';

@Injectable()
export class DoNothingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

/**
 * What one writes in ten minutes: claims a key and keeps the value. No lease, no comparison of
 * content, no status or headers, no bound, no other process: the least that a first call can cost.
 */
@Injectable()
export class HandWrittenInterceptor implements NestInterceptor {
  private readonly claimed = new Set<string>();
  private readonly values = new Map<string, unknown>();

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { headers } = context.switchToHttp().getRequest<IncomingMessage>();
    const key = String(headers['idempotency-key']);
    if (this.values.has(key)) return of(this.values.get(key));
    if (this.claimed.has(key)) throw new ConflictException();
    this.claimed.add(key);
    return next.handle().pipe(tap((value) => this.values.set(key, value)));
  }
}
