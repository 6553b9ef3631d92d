import {
  Controller,
  Header,
  type INestApplication,
  Post,
  Query,
  Res,
  StreamableFile,
} from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import fastifyCompress from '@fastify/compress';
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import compression from 'compression';
import expressSession from 'express-session';
import type { Response } from 'express';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Idempotent, MemoryStore } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { contentDigest, decodedBy } from '../support/content-codings.js';
import {
  boot,
  essence,
  type Platform,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';

const BODY = { text: 'sign me and pack me '.repeat(100) };
const SECRET = 'x'.repeat(40);
const LEASE_MS = 30_000;
let runs = 0;
let gate: Gate;

@Controller()
class Replies {
  @Idempotent()
  @Header('X-Own', 'of the handler')
  @Post('json')
  json(): unknown {
    runs += 1;
    return BODY;
  }

  @Idempotent()
  @Post('text')
  text(): string {
    runs += 1;
    return JSON.stringify(BODY);
  }

  @Idempotent()
  @Post('bytes')
  bytes(@Res() reply: Response & FastifyReply): void {
    runs += 1;
    reply.header('Content-Type', 'text/plain').send(Buffer.from(JSON.stringify(BODY)));
  }

  @Idempotent({ lease: LEASE_MS })
  @Post('slow')
  async slow(@Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const run = (runs += 1);
    reply.header('X-Run', String(run));
    await gate.pass();
    return { run };
  }

  @Idempotent()
  @Post('stream')
  stream(): StreamableFile {
    runs += 1;
    return new StreamableFile(Readable.from([Buffer.from(JSON.stringify(BODY))]), {
      type: 'application/json',
    });
  }

  @Idempotent()
  @Post('nothing')
  nothing(): void {
    runs += 1;
  }

  @Idempotent()
  @Post('empty')
  empty(@Query('status') status: string, @Res({ passthrough: true }) reply: FastifyReply): void {
    runs += 1;
    reply.status(Number(status));
  }
}

const KINDS = ['json', 'text', 'bytes', 'stream', 'nothing'] as const;

function fastifyOf(app: INestApplication): FastifyInstance {
  return (app as NestFastifyApplication).getHttpAdapter().getInstance() as FastifyInstance;
}

/** What an application may hang on every reply, on either platform. */
interface Hooks {
  /** How often something ran on a reply. */
  readonly seen: number;
  install(app: INestApplication): Promise<void>;
}

const isAsync = (bytes: Buffer): Promise<string> => Promise.resolve(contentDigest(bytes));

function expressHooks(): Hooks {
  let seen = 0;
  return {
    get seen() {
      return seen;
    },
    async install(app) {
      const express = app as NestExpressApplication;
      express.use(compression({ threshold: 0 }));
      express.use(
        expressSession({
          secret: SECRET,
          rolling: true,
          resave: true,
          saveUninitialized: true,
          cookie: { maxAge: 60_000 },
        }),
      );
      // Signs what is packed and sent after it, and is not done at once.
      express.use((_request: unknown, response: ServerResponse, next: () => void) => {
        const pieces: Buffer[] = [];
        const end = response.end.bind(response) as (bytes: Buffer) => ServerResponse;
        const take = (piece: unknown, encoding: unknown): void => {
          if (typeof piece === 'string')
            pieces.push(Buffer.from(piece, encoding as BufferEncoding));
          else if (piece instanceof Uint8Array) pieces.push(Buffer.from(piece));
        };
        response.write = ((piece: unknown, encoding: unknown) => {
          take(piece, encoding);
          return true;
        }) as ServerResponse['write'];
        response.end = ((piece: unknown, encoding: unknown) => {
          take(piece, encoding);
          const bytes = Buffer.concat(pieces);
          void isAsync(bytes).then((digest) => {
            response.setHeader('X-Signature', digest);
            response.setHeader('X-Seen', String((seen += 1)));
            end(bytes);
          });
          return response;
        }) as ServerResponse['end'];
        next();
      });
    },
  };
}

function fastifyHooks(): Hooks {
  let seen = 0;
  return {
    get seen() {
      return seen;
    },
    async install(app) {
      const fastify = app as NestFastifyApplication;
      await fastify.register(fastifyCookie);
      await fastify.register(fastifySession, {
        secret: SECRET,
        rolling: true,
        cookie: { secure: false, maxAge: 60_000 },
      });
      await fastify.register(fastifyCompress, { threshold: 0 });
      // A hook of the routes, like those of the plugin before it: it gets what that has packed.
      fastifyOf(app).addHook('onRoute', (route) => {
        const own = route.onSend === undefined ? [] : [route.onSend].flat();
        route.onSend = [
          ...own,
          async (_request: unknown, reply: FastifyReply, payload: unknown) => {
            const bytes = await wholeOf(payload);
            reply.header('X-Signature', await isAsync(bytes));
            reply.header('X-Seen', String((seen += 1)));
            return payload === undefined || payload === null ? payload : bytes;
          },
        ];
      });
    },
  };
}

async function wholeOf(payload: unknown): Promise<Buffer> {
  if (payload === undefined || payload === null) return Buffer.alloc(0);
  if (typeof payload === 'string') return Buffer.from(payload);
  if (payload instanceof Uint8Array) return Buffer.from(payload);
  const pieces: Buffer[] = [];
  for await (const piece of payload as Readable) pieces.push(Buffer.from(piece as Buffer));
  return Buffer.concat(pieces);
}

const HOOKS: Readonly<Record<Platform, () => Hooks>> = {
  express: expressHooks,
  fastify: fastifyHooks,
};

const TEXT: Readonly<Record<string, string>> = { nothing: '' };
const textOf = (kind: string): string => TEXT[kind] ?? JSON.stringify(BODY);

/** What is signed: on Express the bytes before, on Fastify those after compression. */
function signedBytes(platform: Platform, { headers, bytes }: Reply): Buffer {
  return platform === 'express' ? decodedBy(headers['content-encoding'], bytes) : bytes;
}

/** Asserts that what stands around the body was made for this reply. */
function expectOwn(
  platform: Platform,
  reply: Reply,
  seen: number,
  kind: string,
  coding: string | undefined,
): void {
  expect(reply.headers['x-signature']).toBe(contentDigest(signedBytes(platform, reply)));
  expect(reply.headers['x-seen']).toBe(String(seen));
  expect(reply.headers['set-cookie']).toHaveLength(1);
  expect(reply.headers['content-encoding']).toBe(coding);
  expect(decodedBy(coding, reply.bytes).toString()).toBe(textOf(kind));
  expect(reply.headers['content-length'] ?? String(reply.bytes.length)).toBe(
    String(reply.bytes.length),
  );
}

describe.each(PLATFORMS)('what runs on every reply on %s', (platform) => {
  let test: TestApp;
  let hooks: Hooks;
  const complaints: unknown[] = [];

  beforeAll(async () => {
    hooks = HOOKS[platform]();
    test = await boot(platform, {
      controllers: [Replies],
      configure: (app) => hooks.install(app),
    });
  });
  afterAll(() => test.close());

  it.each(KINDS)(
    'runs on a replay of %s, and its headers are those of the replay',
    async (kind) => {
      runs = 0;
      const before = hooks.seen;
      const send = (accepted: string): Promise<Reply> =>
        test.send(`/${kind}`, { key: `own-${kind}`, headers: { 'accept-encoding': accepted } });
      const isPacked = kind !== 'nothing';
      const first = await send('gzip');
      expectOwn(platform, first, before + 1, kind, isPacked ? 'gzip' : undefined);
      const second = await send('br');
      expect(second.headers['idempotent-replayed']).toBe('true');
      expectOwn(platform, second, before + 2, kind, isPacked ? 'br' : undefined);
      const third = await send('identity');
      expectOwn(platform, third, before + 3, kind, undefined);
      const again = await send('gzip');
      expect(again.bytes.equals(first.bytes)).toBe(true);
      expect(again.headers['content-type']).toBe(first.headers['content-type']);
      expect(again.headers['x-own']).toBe(first.headers['x-own']);
      const cookies = [first, second, third, again].map(({ headers }) =>
        String(headers['set-cookie']),
      );
      expect(new Set(cookies).size).toBe(4);
      expect(runs).toBe(1);
      expect(complaints.concat(test.complaints)).toEqual([]);
    },
  );
});

describe('hooks on fastify', () => {
  let test: TestApp | undefined;
  let calls: unknown[];
  afterEach(() => test?.close());
  beforeEach(() => {
    calls = [];
    runs = 0;
  });

  async function start(
    install: (fastify: FastifyInstance) => void,
    idempotency = {},
  ): Promise<TestApp> {
    test = await boot('fastify', {
      controllers: [Replies],
      idempotency,
      configure: (app) => install(fastifyOf(app)),
    });
    return test;
  }

  it('that run before and after a reply run on every one', async () => {
    const { send } = await start((fastify) => {
      for (const hook of ['onRequest', 'preHandler', 'onResponse'] as const)
        fastify.addHook(hook, async () => void calls.push(hook));
      fastify.addHook('onSend', async () => void calls.push('onSend'));
    });
    for (const _call of ['first', 'retry']) await send('/json', { key: 'all' });
    await send('/json', { key: 'all' });
    const each = ['onRequest', 'preHandler', 'onSend', 'onResponse'];
    expect(calls.slice(0, 8)).toEqual([...each, ...each]);
    expect(runs).toBe(1);
  });

  it.each(KINDS)('get a replay of %s as they got the reply', async (kind) => {
    const { send } = await start((fastify) => {
      fastify.addHook('onSend', async (_request, reply, payload) => {
        const { statusCode } = reply;
        const kindOf = payload instanceof Readable ? 'stream' : typeof payload;
        calls.push([kindOf, Buffer.isBuffer(payload), statusCode, reply.getHeader('content-type')]);
      });
    });
    for (const _call of ['first', 'retry']) await send(`/${kind}`, { key: kind });
    expect(calls).toHaveLength(2);
    // Nest sends nothing as `undefined`, which a hook cannot tell from `null`.
    expect(calls[1]).toEqual(kind === 'nothing' ? ['object', false, 201, undefined] : calls[0]);
  });

  it.each([
    ['a string', (text: string) => `${text} and more`],
    ['a stream', (text: string) => Readable.from([Buffer.from(text), Buffer.from(' and more')])],
    ['bytes', (text: string) => Buffer.from(`${text} and more`)],
  ] as const)('may put %s in place of the body, each time once', async (_name, replace) => {
    const { send } = await start((fastify) => {
      fastify.addHook('onSend', async (_request, reply, payload) => {
        reply.removeHeader('content-length');
        return replace((await wholeOf(payload)).toString());
      });
    });
    for (const kind of ['text', 'stream', 'bytes'])
      for (const _call of ['first', 'retry', 'another'])
        expect((await send(`/${kind}`, { key: kind })).text).toBe(
          `${JSON.stringify(BODY)} and more`,
        );
    expect(runs).toBe(3);
  });

  it('may fail on a replay, which is then an error and no replay', async () => {
    let isBroken = false;
    const app = await start((fastify) => {
      fastify.addHook('onSend', async (_request, reply) => {
        if (!isBroken || reply.statusCode >= 500) return;
        throw new Error('the session store is away');
      });
    });
    const first = await app.send('/json', { key: 'broken' });
    isBroken = true;
    const failed = await app.send('/json', { key: 'broken' });
    expect(failed.status).toBe(500);
    expect(failed.headers).not.toHaveProperty('idempotent-replayed');
    expect(failed.headers).not.toHaveProperty('x-own');
    isBroken = false;
    const replay = await app.send('/json', { key: 'broken' });
    expect(replay.headers['idempotent-replayed']).toBe('true');
    expect(essence(replay)).toEqual(essence(first));
    expect(runs).toBe(1);
  });

  it.each([204, 205, 304])('leave a reply with status %d without a body', async (status) => {
    const { send } = await start((fastify) => {
      fastify.addHook('onSend', async (_request, reply) => void reply.header('x-hook', 'yes'));
    });
    const path = `/empty?status=${status}`;
    const first = await send(path, { key: 'empty' });
    const second = await send(path, { key: 'empty' });
    expect(essence(second)).toEqual(essence(first));
    expect(second.headers).toMatchObject({ 'x-hook': 'yes', 'idempotent-replayed': 'true' });
  });

  it('see the reply of the winner in place of one that came too late', async () => {
    const clock = new ManualClock();
    const store = new FaultInjectingStore(new MemoryStore({ clock }));
    test = await boot('fastify', {
      controllers: [Replies],
      clock,
      idempotency: { store },
      async configure(app) {
        await (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
        fastifyOf(app).addHook('onSend', async (_request, reply, payload) => {
          void reply.header('set-cookie', 'session=rolled');
          void reply.header('x-digest', contentDigest(await wholeOf(payload)));
          return payload;
        });
      },
    });
    const send = (): Promise<Reply> =>
      test!.send('/slow', { key: 'slow', headers: { 'accept-encoding': 'gzip' } });
    const late = (gate = new Gate());
    store.always('extend', failBefore());
    const first = send();
    await late.reached();
    await clock.advance(2 * LEASE_MS);
    store.heal();
    gate = new Gate();
    gate.open();
    const second = await send();
    late.open();
    for (const reply of [second, await first, await send()]) {
      expect(reply.headers).toMatchObject({
        'content-encoding': 'gzip',
        'set-cookie': ['session=rolled'],
        'x-digest': contentDigest('{"run":2}'),
        'x-run': '2',
      });
      expect(decodedBy('gzip', reply.bytes).toString()).toBe('{"run":2}');
    }
    expect((await first).headers['idempotent-replayed']).toBe('true');
    expect(test.complaints).toEqual([]);
  });
});
