import {
  type ArgumentsHost,
  type CallHandler,
  Catch,
  type CanActivate,
  ClassSerializerInterceptor,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  HttpException,
  type NestInterceptor,
  type PipeTransform,
  RequestTimeoutException,
} from '@nestjs/common';
import { type HttpAdapterHost, Reflector } from '@nestjs/core';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  defer,
  fromEvent,
  map,
  merge,
  type Observable,
  of,
  retry,
  takeUntil,
  tap,
  throwError,
  timeout,
  timer,
} from 'rxjs';
import { first, switchMap } from 'rxjs/operators';
import type { Random } from '../support/random.js';
import type { Layer } from './plan.js';

/** What the handlers of an application are wrapped in, as applications write it. */
export class Layers {
  private readonly cache = new Map<string, unknown>();
  private readonly serializer = new ClassSerializerInterceptor(new Reflector());

  constructor(private readonly random: Random) {}

  interceptors(layers: readonly Layer[]): NestInterceptor[] {
    return layers.map((layer) =>
      layer === 'serialise' ? this.serializer : { intercept: this.wrap(layer) },
    );
  }

  private wrap(layer: Layer): NestInterceptor['intercept'] {
    const { random } = this;
    switch (layer) {
      case 'log':
        return (_context, next) => next.handle().pipe(tap({ error: () => undefined }));
      case 'retry':
        return (_context, next) => next.handle().pipe(retry(2));
      case 'retry later':
        return (_context, next) =>
          next.handle().pipe(retry({ count: 2, delay: random.between(1, 6) }));
      case 'time-out':
        return (_context, next) => next.handle().pipe(impatient(random.between(1, 9)));
      case 'cache':
        return (context, next) => this.cached(context, next);
      case 'map':
        return (_context, next) => next.handle().pipe(map(marked));
      case 'map that fails':
        return (_context, next) =>
          next.handle().pipe(map((value) => (random.isBelow(0.3) ? fail() : value)));
      case 'hedge':
        return (_context, next) => hedged(next, random.between(1, 8));
      case 'subscribe twice':
        return (_context, next) => {
          const handled = next.handle();
          handled.subscribe({ error: () => undefined });
          return handled;
        };
      case 'stop when the client leaves':
        return (context, next) => untilClientLeaves(context, next.handle());
      case 'serialise':
        throw new Error('Nest has this one itself.');
    }
  }

  /** As Nest's own does it, by caller and content. */
  private cached(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    const { headers, url, body } = context.switchToHttp().getRequest<CachedRequest>();
    const { authorization, cookie } = headers;
    const who = [headers['x-user'], authorization, cookie];
    const asked = [url, headers['x-version'], ...who, headers['idempotency-key'], body];
    const name = JSON.stringify(asked);
    const known = this.cache.get(name);
    if (known !== undefined && this.random.isBelow(0.7)) return of(known);
    return next.handle().pipe(tap((value) => this.cache.set(name, value)));
  }
}

interface CachedRequest {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly url: string;
  readonly body: unknown;
}

function marked(value: unknown): unknown {
  const isPlain = typeof value === 'object' && value !== null && 'run' in value;
  return isPlain ? { ...value, isMarked: true } : value;
}

function fail(): never {
  throw new Error('The reply does not match its schema.');
}

function impatient<T>(ms: number) {
  return timeout<T, Observable<never>>({
    each: ms,
    with: () =>
      defer(() => {
        throw new RequestTimeoutException();
      }),
  });
}

/** A second attempt when the first one takes long; who is there first has won. */
function hedged(next: CallHandler, afterMs: number): Observable<unknown> {
  return merge(next.handle(), timer(afterMs).pipe(switchMap(() => next.handle()))).pipe(first());
}

function untilClientLeaves(
  context: ExecutionContext,
  handled: Observable<unknown>,
): Observable<unknown> {
  if (context.getType() !== 'http') return handled;
  const reply = context.switchToHttp().getResponse<ServerResponse & { raw?: ServerResponse }>();
  return handled.pipe(takeUntil(fromEvent(reply.raw ?? reply, 'close')));
}

/** Signs in who says so, and turns some away. */
export class SignIn implements CanActivate {
  constructor(private readonly random: Random) {}

  canActivate(context: ExecutionContext): boolean {
    if (context.getType() === 'http' && this.random.isBelow(0.05)) throw new ForbiddenException();
    return true;
  }
}

/** Takes some bodies for wrong, whatever is in them. */
export class MoodyPipe implements PipeTransform {
  constructor(private readonly random: Random) {}

  transform(value: unknown): unknown {
    if (this.random.isBelow(0.05)) throw new HttpException('Wrong.', 400);
    return value;
  }
}

/** Tells errors in another form, keeping their status. */
@Catch()
export class ReshapingFilter implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: unknown, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return passedOn(error, host);
    const status = error instanceof HttpException ? error.getStatus() : 500;
    return this.host.httpAdapter.reply(
      host.switchToHttp().getResponse(),
      { error: status },
      status,
    );
  }
}

/** Answers on the raw response, past the framework. */
@Catch()
export class RawFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): unknown {
    if (host.getType() !== 'http') return passedOn(error, host);
    const status = error instanceof HttpException ? error.getStatus() : 500;
    const response = host
      .switchToHttp()
      .getResponse<ServerResponse & { raw?: ServerResponse; hijack?: () => void }>();
    response.hijack?.();
    const raw = response.raw ?? response;
    if (raw.headersSent) return undefined;
    raw.statusCode = status;
    raw.setHeader('content-type', 'application/json');
    raw.end(JSON.stringify({ error: status }));
    return undefined;
  }
}

/** As filters do it where there is no HTTP. */
function passedOn(error: unknown, host: ArgumentsHost): unknown {
  return host.getType() === 'rpc' ? throwError(() => error) : error;
}

/** Answers 503 by itself when it takes too long, as middleware for that does. */
export function impatientMiddleware(random: Random) {
  return (_request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const alarm = setTimeout(
      () => {
        if (response.headersSent || response.writableEnded) return;
        response.statusCode = 503;
        response.setHeader('content-type', 'text/plain');
        response.end('Too slow.');
      },
      random.between(1, 9),
    );
    response.on('close', () => clearTimeout(alarm));
    next();
  };
}

/** Gives up on the connection when nothing moves, as `response.setTimeout()` without a listener does. */
export function impatientResponse(random: Random) {
  return (_request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    response.setTimeout(random.between(1, 9));
    next();
  };
}
