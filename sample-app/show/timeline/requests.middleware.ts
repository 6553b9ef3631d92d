import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Injectable, type NestMiddleware } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Timeline } from './timeline.js';

const SAFE: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Starting and killing the worker is not what the shop is for. */
const NOT_SHOWN = '/worker';
const REQUEST_ID = /^[\w-]{1,64}$/;

type Request = IncomingMessage & { readonly originalUrl?: string };

/** Puts every request that changes something on the timeline, with what the library says about it. */
@Injectable()
export class RequestsMiddleware implements NestMiddleware<Request, ServerResponse> {
  private readonly calls = new WeakMap<IncomingMessage, string>();

  constructor(
    private readonly timeline: Timeline,
    { httpAdapter }: HttpAdapterHost,
  ) {
    if (httpAdapter.getType() === 'fastify') this.continueIn(httpAdapter.getInstance());
  }

  use(request: Request, response: ServerResponse, next: () => void): void {
    const { method, originalUrl = request.url ?? '', headers } = request;
    if (SAFE.has(method) || originalUrl.startsWith(NOT_SHOWN)) return next();
    const given = headers['x-request-id'];
    const call = this.timeline.begin({
      kind: 'request',
      title: `${method} ${beginOf(originalUrl)}`,
      requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : undefined,
    });
    this.calls.set(request, call);
    const sent = watchHead(response);
    response.once('close', () =>
      this.timeline.end(
        call,
        response.writableFinished ? { how: 'answered', ...sent() } : { how: 'lost' },
      ),
    );
    this.timeline.within(call, next);
  }

  /** Fastify reads the body after its middleware, which leaves the async context of that. */
  private continueIn(fastify: FastifyInstance): void {
    fastify.addHook('preHandler', (request, _reply, done) => {
      const call = this.calls.get(request.raw);
      if (call === undefined) done();
      else this.timeline.within(call, done);
    });
  }
}

/** The part of a path that is the same for all: what follows may be a key. */
function beginOf(url: string): string {
  return /^\/[\w-]{0,30}/.exec(url)?.[0] ?? '/';
}

/** Tells what goes out. Fastify hands headers to `writeHead`, and the response never knows them. */
function watchHead(response: ServerResponse): () => {
  readonly status: number;
  readonly retryAfter?: string;
  readonly isReplayed?: boolean;
} {
  let handed: OutgoingHttpHeaders = {};
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
  response.writeHead = (...head: unknown[]) => {
    const last = head.at(-1);
    if (typeof last === 'object' && last !== null) handed = last as OutgoingHttpHeaders;
    return writeHead(...head);
  };
  const header = (name: string): string | undefined =>
    (handed[name] ?? response.getHeader(name))?.toString();
  return () => ({
    status: response.statusCode,
    retryAfter: header('retry-after'),
    isReplayed: header('idempotent-replayed') === 'true' || undefined,
  });
}
