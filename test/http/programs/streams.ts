import 'reflect-metadata';
import { Controller, Post, Res } from '@nestjs/common';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import { openStore, placeFrom, type ServerName } from '../../processes/support/open-store.js';
import { boot, type Platform } from '../../support/http.js';
import type { StandsAt, StreamsReady } from '../streams-killed.js';

/** Streams replies in two pieces, and stands still where the call says until it is killed. */
const { SERVER, PLACE, PLATFORM } = process.env;
const lease = Number(process.env.LEASE_MS);
const business = await openStore(SERVER as ServerName, placeFrom(PLACE!));

/** Where the present call stands still. */
const standsAt = new AsyncLocalStorage<string | undefined>();

async function standing(at: StandsAt): Promise<void> {
  if (at !== standsAt.getStore()) return;
  process.send?.(at);
  await new Promise(() => undefined);
}

const { store } = business;
const complete = store.complete.bind(store);
store.complete = async (request) => {
  const isStored = await complete(request);
  await standing('on record');
  return isStored;
};

const THROUGH = { stream: 'through', lease } as const;

@Controller()
class Streams {
  @Idempotent(THROUGH)
  @Post('rerun')
  rerun(@Operation() operation: IdempotentOperation, @Res() response: Response & FastifyReply) {
    return stream(operation, response);
  }

  @Idempotent({ ...THROUGH, onAbandoned: 'hold' })
  @Post('hold')
  hold(@Operation() operation: IdempotentOperation, @Res() response: Response & FastifyReply) {
    return stream(operation, response);
  }
}

async function stream(
  operation: IdempotentOperation,
  response: Response & FastifyReply,
): Promise<void> {
  await business.act(operation.key!);
  if ('raw' in response) response.hijack();
  const raw = 'raw' in response ? response.raw : response;
  raw.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 7 });
  raw.write('one ');
  await standing('in the stream');
  raw.end('two');
}

const { port } = await boot(PLATFORM as Platform, {
  controllers: [Streams],
  idempotency: { store, storeTimeout: '30s' },
  configure: (app) => {
    app.use(({ headers }: IncomingMessage, _: unknown, next: () => void) =>
      standsAt.run(headers['x-stands-at']?.toString(), next),
    );
  },
});
process.send?.({ port } satisfies StreamsReady);
