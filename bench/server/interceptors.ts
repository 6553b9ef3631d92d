import {
  type CallHandler,
  ConflictException,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { concatMap, type Observable, of } from 'rxjs';
import type { Minimum } from '../records/minimum.js';

@Injectable()
export class DoNothingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

/** The reply leaves when it is kept, as that of `@Idempotent()` does. */
export class HandWrittenInterceptor implements NestInterceptor {
  constructor(private readonly minimum: Minimum) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const { headers } = context.switchToHttp().getRequest<IncomingMessage>();
    const key = String(headers['idempotency-key']);
    if (await this.minimum.claim(key)) {
      return next.handle().pipe(
        concatMap(async (value) => {
          await this.minimum.keep(key, value);
          return value;
        }),
      );
    }
    const value = await this.minimum.find(key);
    if (value === undefined) throw new ConflictException();
    return of(value);
  }
}
