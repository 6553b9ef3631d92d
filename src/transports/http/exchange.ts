import type { ExecutionContext } from '@nestjs/common';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { IncomingRequest } from '../../keys/call.js';
import type { TransportCall } from '../../calls/operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { isSafeMethod } from './routes.js';

/** What Express and Fastify call a response, as far as it is needed here. */
export interface FrameworkResponse {
  /** Fastify's way to Node's response. */
  readonly raw?: ServerResponse;
  readonly statusCode: number;
  getHeaders(): OutgoingHttpHeaders;
  /** Fastify: the reply is ours from now on. */
  hijack?(): unknown;
}

interface RoutedRequest extends IncomingRequest {
  /** Express. */
  readonly route?: { readonly path?: unknown };
  /** Fastify. */
  readonly routeOptions?: { readonly url?: string };
}

const EXCHANGE = Symbol.for('nestjs-idempotency:exchange');
type Marked = IncomingRequest & { [EXCHANGE]?: HttpExchange };

/** One request and its response, the same for Express and Fastify. */
export class HttpExchange implements TransportCall {
  readonly type = 'http';
  principal: string | undefined;
  /** Found by the guard already, when the head of the request was enough. */
  key: string | undefined;
  /** The interceptor has taken it; whoever meets it again lets it pass. */
  isTaken = false;
  readonly isWanted = (): boolean => !this.raw.destroyed;

  private constructor(
    readonly request: IncomingRequest,
    readonly response: FrameworkResponse,
    public scope: string,
  ) {}

  /** The exchange of a context; one per request, however often it is asked for. */
  static of(context: ExecutionContext, handler: ProtectedHandler): HttpExchange {
    const request = context.getArgByIndex<Marked>(0);
    return (request[EXCHANGE] ??= new HttpExchange(
      request,
      context.getArgByIndex<FrameworkResponse>(1),
      scopeOf(request, handler),
    ));
  }

  /** Node's own response. */
  get raw(): ServerResponse {
    return this.response.raw ?? (this.response as unknown as ServerResponse);
  }

  get isSafe(): boolean {
    return isSafeMethod(this.request.method);
  }
}

function scopeOf(request: RoutedRequest, { scope, scopesByPath }: ProtectedHandler): string {
  if (scopesByPath === undefined) return scope;
  const path = request.routeOptions?.url ?? request.route?.path;
  return (typeof path === 'string' ? scopesByPath.get(path) : undefined) ?? scope;
}
