import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  SetMetadata,
} from '@nestjs/common';
import type { Observable } from 'rxjs';
import { RECORDING_METADATA } from '../options/metadata.js';
import { GraphqlEntry } from './graphql/graphql-entry.js';
import { HandlerRegistry } from '../handlers/handler-registry.js';
import { HttpEntry } from './http/http-entry.js';
import { RpcEntry } from './rpc/rpc-entry.js';

/**
 * Claims the operation and runs, replays or refuses it. Attached by `@Idempotent()`; registered
 * globally beside it, it lets every other handler pass and claims no operation twice.
 */
@Injectable()
@SetMetadata(RECORDING_METADATA, true)
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly http: HttpEntry,
    private readonly rpc: RpcEntry,
    private readonly graphql: GraphqlEntry,
  ) {}

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    const handler = this.handlers.of(context);
    switch (handler?.kind) {
      case 'http':
        return this.http.intercept(context, next, handler) as
          Observable<unknown> | Promise<Observable<unknown>>;
      case 'rpc':
        return this.rpc.intercept(context, next, handler);
      case 'graphql':
        return this.graphql.intercept(context, next, handler);
      case 'method':
      case undefined:
        return next.handle();
    }
  }
}
