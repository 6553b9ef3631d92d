import { Controller, Post, StreamableFile } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import fastifyCompress from '@fastify/compress';
import fastifyCookie from '@fastify/cookie';
import fastifyEtag from '@fastify/etag';
import fastifySession from '@fastify/session';
import compression from 'compression';
import expressSession from 'express-session';
import type { FastifyInstance } from 'fastify';
import { Idempotent } from 'nestjs-idempotency';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { CODINGS, contentDigest, decodedBy } from '../support/content-codings.js';
import { boot, type Platform, PLATFORMS, type Reply, type TestApp } from '../support/http.js';

const TEXT = JSON.stringify({ text: 'every encoding, every platform. '.repeat(200) });
const SECRET = 's'.repeat(40);

@Controller()
class Replies {
  @Idempotent()
  @Post('value')
  value(): unknown {
    return JSON.parse(TEXT) as unknown;
  }

  @Idempotent()
  @Post('stream')
  stream(): StreamableFile {
    const pieces = TEXT.match(/.{1,100}/gs)!.map((piece) => Buffer.from(piece));
    return new StreamableFile(Readable.from(pieces), { type: 'application/json' });
  }
}

/** What an application hangs on its replies: each alone, and all together. */
const PARTS = ['session', 'compression', 'signature'] as const;
type Part = (typeof PARTS)[number];

function onExpress(app: NestExpressApplication, parts: readonly Part[]): void {
  if (parts.includes('session'))
    app.use(
      expressSession({ secret: SECRET, rolling: true, resave: true, saveUninitialized: true }),
    );
  if (parts.includes('compression')) app.use(compression({ threshold: 0 }));
  if (!parts.includes('signature')) return;
  app.use((_request: unknown, response: ServerResponse, next: () => void) => {
    const pieces: Buffer[] = [];
    const end = response.end.bind(response) as (bytes: Buffer) => ServerResponse;
    const take = (piece: unknown): void => {
      if (typeof piece === 'string' || piece instanceof Uint8Array) pieces.push(Buffer.from(piece));
    };
    response.write = ((piece: unknown) => {
      take(piece);
      return true;
    }) as ServerResponse['write'];
    response.end = ((piece: unknown) => {
      take(piece);
      const bytes = Buffer.concat(pieces);
      void Promise.resolve().then(() => {
        response.setHeader('X-Signature', contentDigest(bytes));
        end(bytes);
      });
      return response;
    }) as ServerResponse['end'];
    next();
  });
}

async function onFastify(app: NestFastifyApplication, parts: readonly Part[]): Promise<void> {
  if (parts.includes('session')) {
    await app.register(fastifyCookie);
    await app.register(fastifySession, {
      secret: SECRET,
      rolling: true,
      cookie: { secure: false, maxAge: 60_000 },
    });
  }
  // Made over what goes into compression.
  await app.register(fastifyEtag);
  if (parts.includes('compression')) await app.register(fastifyCompress, { threshold: 0 });
  if (!parts.includes('signature')) return;
  const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
  fastify.addHook('onRoute', (route) => {
    const own = route.onSend === undefined ? [] : [route.onSend].flat();
    route.onSend = [
      ...own,
      async (
        _request: unknown,
        reply: { header(name: string, value: string): unknown },
        payload: unknown,
      ) => {
        const pieces: Buffer[] = [];
        if (typeof payload === 'string' || payload instanceof Uint8Array)
          pieces.push(Buffer.from(payload));
        else
          for await (const piece of payload as Readable) pieces.push(Buffer.from(piece as Buffer));
        const bytes = Buffer.concat(pieces);
        reply.header('X-Signature', contentDigest(bytes));
        return bytes;
      },
    ];
  });
}

const COMBINATIONS: readonly (readonly Part[])[] = [[], ...PARTS.map((part) => [part]), PARTS];
const ACCEPTED = [undefined, '', 'identity', ...Object.keys(CODINGS), 'gzip, deflate, br, zstd'];

describe.each(
  PLATFORMS.flatMap((platform) => COMBINATIONS.map((parts) => [platform, parts] as const)),
)('every reply on %s with %j', (platform: Platform, parts) => {
  let test: TestApp;

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Replies],
      configure: (app) =>
        platform === 'express'
          ? onExpress(app as NestExpressApplication, parts)
          : onFastify(app as NestFastifyApplication, parts),
    });
  });
  afterAll(() => test.close());

  function expectWhole(reply: Reply): void {
    const coding = reply.headers['content-encoding'];
    const plain = decodedBy(coding, reply.bytes);
    expect(plain.toString()).toBe(TEXT);
    const signed = platform === 'express' ? plain : reply.bytes;
    expect(reply.headers['x-signature']).toBe(
      parts.includes('signature') ? contentDigest(signed) : undefined,
    );
    expect(reply.headers['set-cookie'] ?? []).toHaveLength(parts.includes('session') ? 1 : 0);
    const { 'content-length': length = String(reply.bytes.length) } = reply.headers;
    expect(length).toBe(String(reply.bytes.length));
  }

  const send = (path: string, key: string, accepted: string | undefined): Promise<Reply> =>
    test.send(path, {
      key,
      headers: accepted === undefined ? {} : { 'accept-encoding': accepted },
    });

  it.each(
    ACCEPTED.flatMap((accepted) => [['value', accepted] as const, ['stream', accepted] as const]),
  )('of a %s, first for "%s", is whole and its own for everybody', async (path, accepted) => {
    const key = `${path}-${accepted}`;
    const first = await send(`/${path}`, key, accepted);
    expectWhole(first);
    for (const other of ACCEPTED) {
      const replay = await send(`/${path}`, key, other);
      expect(replay.headers['idempotent-replayed']).toBe('true');
      expectWhole(replay);
      if (other !== accepted) continue;
      expect(replay.bytes.equals(first.bytes)).toBe(true);
      for (const name of ['content-type', 'content-encoding', 'etag', 'vary', 'x-signature'])
        expect([name, replay.headers[name]]).toEqual([name, first.headers[name]]);
    }
    expect(test.complaints).toEqual([]);
  });
});
