import type { IncomingMessage } from 'node:http';
import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { delay, type Observable } from 'rxjs';

const LONGEST_MS = 5_000;

/**
 * `X-Slow-Motion: 600` has a handler end that many milliseconds later, for people to see what
 * happens meanwhile. Only in a sample.
 */
@Injectable()
export class SlowMotion implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { headers } = context.switchToHttp().getRequest<Pick<IncomingMessage, 'headers'>>();
    const ms = Number(headers['x-slow-motion']);
    return ms > 0 ? next.handle().pipe(delay(Math.min(ms, LONGEST_MS))) : next.handle();
  }
}
