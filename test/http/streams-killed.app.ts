import { Controller, Post, Res } from '@nestjs/common';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { OpenStore } from '../processes/support/open-store.js';
import { boot, type Platform, type TestApp } from '../support/http.js';

/** Where a call stands still until its process is killed, as its header says. */
export type StandsAt = 'in the stream' | 'on record';
export const STANDS_AT_HEADER = 'x-stands-at';

const standsAt = new AsyncLocalStorage<string | undefined>();

async function standing(at: StandsAt): Promise<void> {
  if (at !== standsAt.getStore()) return;
  process.send?.(at);
  await new Promise(() => undefined);
}

/** Boots an application that streams replies in two pieces. */
export function bootStreams(
  platform: Platform,
  { store, act }: OpenStore,
  lease: number,
): Promise<TestApp> {
  const complete = store.complete.bind(store);
  store.complete = async (request) => {
    const isStored = await complete(request);
    await standing('on record');
    return isStored;
  };
  const through = { stream: 'through', lease } as const;

  async function stream(
    operation: IdempotentOperation,
    response: Response & FastifyReply,
  ): Promise<void> {
    await act(operation.key!);
    if ('raw' in response) response.hijack();
    const raw = 'raw' in response ? response.raw : response;
    raw.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 7 });
    raw.write('one ');
    await standing('in the stream');
    raw.end('two');
  }

  @Controller()
  class Streams {
    @Idempotent(through)
    @Post('rerun')
    rerun(@Operation() operation: IdempotentOperation, @Res() response: Response & FastifyReply) {
      return stream(operation, response);
    }

    @Idempotent({ ...through, onAbandoned: 'hold' })
    @Post('hold')
    hold(@Operation() operation: IdempotentOperation, @Res() response: Response & FastifyReply) {
      return stream(operation, response);
    }
  }

  return boot(platform, {
    controllers: [Streams],
    idempotency: { store, storeTimeout: '30s' },
    configure: (app) => {
      app.use(({ headers }: IncomingMessage, _: unknown, next: () => void) =>
        standsAt.run(headers[STANDS_AT_HEADER]?.toString(), next),
      );
    },
  });
}
