import {
  type ArgumentsHost,
  BadRequestException,
  type CallHandler,
  Catch,
  ClassSerializerInterceptor,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Header,
  HttpCode,
  HttpException,
  type INestApplication,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestInterceptor,
  Post,
  Query,
  Redirect,
  Render,
  Res,
  StreamableFile,
  type Type,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import fastifyCompress from '@fastify/compress';
import { Exclude, Expose } from 'class-transformer';
import compression from 'compression';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { Idempotent, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore } from 'nestjs-idempotency/testing';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { finalize, from, map, type Observable, of, tap, timeout } from 'rxjs';
import {
  boot,
  essence,
  expectProblem,
  expectReplay,
  type Platform,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

let runs = 0;

/** Every byte value, more than once and out of order. */
const BINARY = Buffer.from(Array.from({ length: 1_024 }, (_, i) => (i * 167) % 256));
const TEXT = 'Ünïcödé ☃ 𝄞 "quoted" \u2028 \u0000 end';
const MEBIBYTE = 1024 * 1024;

class Account {
  name = 'alice';

  @Exclude()
  password = 'hidden';

  @Expose()
  get label(): string {
    return `account of ${this.name}`;
  }
}

@Injectable()
class Envelope implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ data, wrapped: true })));
  }
}

class TeapotError extends Error {}

@Catch(TeapotError)
class TeapotFilter implements ExceptionFilter {
  catch(error: TeapotError, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response & FastifyReply>();
    response.status(418).header('X-Filter', 'teapot').send({ filtered: error.message });
  }
}

@Catch(HttpException)
class OwnHttpFilter implements ExceptionFilter {
  catch(error: HttpException, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response & FastifyReply>();
    response.status(error.getStatus()).send({ own: error.message, at: 'filter' });
  }
}

/** Counts the run, then answers with the value. */
function counted<T>(value: T): T {
  runs += 1;
  return value;
}

function chunks(...parts: (string | Buffer)[]): Readable {
  return Readable.from(parts.map((part) => Buffer.from(part)));
}

/** Handlers of every style, protected or, for comparison, not. */
function commonReplies(path: string, protect: () => MethodDecorator): Type {
  @Controller(path)
  class Replies {
    @protect()
    @Post('object')
    object(): unknown {
      return counted({ a: 1, nested: { list: [1, null, 'x'] }, text: TEXT });
    }

    @protect()
    @Post('array')
    array(): unknown {
      return counted([1, 'two', null]);
    }

    @protect()
    @Post('string')
    string(): string {
      return counted(TEXT);
    }

    @protect()
    @Post('empty-string')
    emptyString(): string {
      return counted('');
    }

    @protect()
    @Post('number')
    number(): number {
      return counted(42.5);
    }

    @protect()
    @Post('zero')
    zero(): number {
      return counted(0);
    }

    @protect()
    @Post('boolean')
    boolean(): boolean {
      return counted(false);
    }

    @protect()
    @Post('null')
    null(): null {
      return counted(null);
    }

    @protect()
    @Post('undefined')
    undefined(): void {
      counted(0);
    }

    @protect()
    @HttpCode(204)
    @Post('no-content')
    noContent(): void {
      counted(0);
    }

    @HttpCode(204)
    @protect()
    @Post('no-content-above')
    noContentAbove(): void {
      counted(0);
    }

    @protect()
    @HttpCode(205)
    @Post('reset-content')
    resetContent(): void {
      counted(0);
    }

    @protect()
    @Post('promise')
    async promise(): Promise<unknown> {
      return counted({ later: true });
    }

    @protect()
    @Post('observable')
    observable(): Observable<unknown> {
      return from(Promise.resolve(counted({ observed: true })));
    }

    @protect()
    @Post('buffer')
    buffer(): Buffer {
      return counted(BINARY);
    }

    @protect()
    @Header('Content-Type', 'application/octet-stream')
    @Post('buffer-typed')
    bufferTyped(): Buffer {
      return counted(BINARY);
    }

    @protect()
    @Post('file-of-buffer')
    fileOfBuffer(): StreamableFile {
      const disposition = 'attachment; filename="all.bin"';
      return counted(new StreamableFile(BINARY, { type: 'application/x-own', disposition }));
    }

    @protect()
    @Post('file-of-stream')
    fileOfStream(): StreamableFile {
      return counted(new StreamableFile(chunks('one ', BINARY, ' three')));
    }

    @protect()
    @Post('file-of-empty-stream')
    fileOfEmptyStream(): StreamableFile {
      return counted(new StreamableFile(Readable.from([])));
    }

    @protect()
    @Redirect('https://example.com/thanks')
    @Post('redirect')
    redirect(): void {
      counted(0);
    }

    @protect()
    @Redirect('https://example.com/never', 301)
    @Post('redirect-303')
    redirect303(): unknown {
      return counted({ url: 'https://example.com/orders/7', statusCode: 303 });
    }

    @protect()
    @HttpCode(202)
    @Header('Location', '/imports/7')
    @Header('X-Own', 'set by the handler')
    @Header('Cache-Control', 'no-store')
    @Post('headers')
    headers(): unknown {
      return counted({ accepted: true });
    }

    @protect()
    @Post('exception')
    exception(): never {
      throw counted(new HttpException({ reason: 'own body', list: [1] }, 422));
    }

    @protect()
    @Post('exception-of-nest')
    exceptionOfNest(): never {
      throw counted(new BadRequestException('no good', { description: 'Very bad' }));
    }

    @protect()
    @UseFilters(OwnHttpFilter)
    @Post('exception-own-filter')
    exceptionOwnFilter(): never {
      throw counted(new BadRequestException('filtered'));
    }

    @UseFilters(OwnHttpFilter)
    @protect()
    @Post('exception-own-filter-above')
    exceptionOwnFilterAbove(): never {
      throw counted(new BadRequestException('filtered'));
    }

    @protect()
    @UseInterceptors(ClassSerializerInterceptor)
    @Post('serialized-below')
    serializedBelow(): Account {
      return counted(new Account());
    }

    @UseInterceptors(ClassSerializerInterceptor)
    @protect()
    @Post('serialized-above')
    serializedAbove(): Account {
      return counted(new Account());
    }

    @protect()
    @UseInterceptors(Envelope)
    @Post('envelope-below')
    envelopeBelow(): unknown {
      return counted({ inner: 1 });
    }

    @UseInterceptors(Envelope)
    @protect()
    @Post('envelope-above')
    envelopeAbove(): unknown {
      return counted({ inner: 1 });
    }

    @UseInterceptors(Envelope)
    @protect()
    @UseInterceptors(ClassSerializerInterceptor)
    @Post('envelope-and-serializer')
    envelopeAndSerializer(): Account {
      return counted(new Account());
    }

    @protect()
    @Render('package.json')
    @Post('rendered')
    rendered(): unknown {
      return counted({ name: 'alice' });
    }

    @protect()
    @Post('mebibyte')
    mebibyte(): StreamableFile {
      return counted(new StreamableFile(Buffer.alloc(MEBIBYTE, BINARY)));
    }

    @protect()
    @Post('mebibyte-of-text')
    mebibyteOfText(): string {
      return counted('ö'.repeat(MEBIBYTE / 2));
    }

    @protect()
    @Post('web-response')
    webResponse(): unknown {
      return counted(
        new globalThis.Response('from the web', { status: 202, headers: { 'x-web': 'yes' } }),
      );
    }

    @protect()
    @Post('async-iterable')
    async *asyncIterable(): AsyncGenerator<string> {
      counted(0);
      yield 'one ';
      yield await Promise.resolve('two');
    }
  }
  Object.defineProperty(Replies, 'name', { value: `Common_${path}` });
  return Replies;
}

const COMMON = [
  ['object', 201],
  ['array', 201],
  ['string', 201],
  ['empty-string', 201],
  ['number', 201],
  ['zero', 201],
  ['boolean', 201],
  ['null', 201],
  ['undefined', 201],
  ['no-content', 204],
  ['no-content-above', 204],
  ['reset-content', 205],
  ['promise', 201],
  ['observable', 201],
  ['buffer', 201],
  ['buffer-typed', 201],
  ['file-of-buffer', 201],
  ['file-of-stream', 201],
  ['file-of-empty-stream', 201],
  ['redirect', 302],
  ['redirect-303', 303],
  ['headers', 202],
  ['exception', 422],
  ['exception-of-nest', 400],
  ['exception-own-filter', 400],
  ['exception-own-filter-above', 400],
  ['serialized-below', 201],
  ['serialized-above', 201],
  ['envelope-below', 201],
  ['envelope-above', 201],
  ['envelope-and-serializer', 201],
  ['rendered', 201],
  ['mebibyte', 201],
  ['mebibyte-of-text', 201],
  ['web-response', 202],
  ['async-iterable', 201],
] as const;

/** Handlers that answer by themselves, in the ways of Express. */
function expressReplies(path: string, protect: () => MethodDecorator): Type {
  @Controller(path)
  class Replies {
    @protect()
    @Post('send')
    send(@Res() response: Response): void {
      response
        .status(202)
        .set('X-Own', 'express')
        .send(counted({ sent: true }));
    }

    @protect()
    @Post('send-bytes')
    sendBytes(@Res() response: Response): void {
      response.send(counted(BINARY));
    }

    @protect()
    @Post('json')
    json(@Res() response: Response): void {
      response
        .status(200)
        .location('/somewhere')
        .json(counted({ text: TEXT }));
    }

    @protect()
    @Post('end')
    end(@Res() response: Response): void {
      response.statusCode = counted(203);
      response.setHeader('Content-Type', 'text/plain');
      response.end(Buffer.from(TEXT).toString('hex'), 'hex');
    }

    @protect()
    @Post('end-of-nothing')
    endOfNothing(@Res() response: Response): void {
      response.status(counted(204)).end();
    }

    @protect()
    @Post('head-and-writes')
    headAndWrites(@Res() response: Response): void {
      response.writeHead(counted(206), 'Own Reason', {
        'X-Own': ['a', 'b'],
        'Content-Type': 'x/y',
      });
      response.write('first ');
      response.write(BINARY);
      response.write('c3bc', 'hex');
      response.end(' last');
    }

    @protect()
    @Post('head-of-pairs')
    headOfPairs(@Res() response: Response): void {
      response.writeHead(counted(200), ['X-Own', 'a', 'Content-Type', 'x/y']);
      response.end('pairs');
    }

    @protect()
    @Post('flushed-head')
    async flushedHead(@Res() response: Response): Promise<void> {
      response.setHeader('X-Early', 'yes');
      response.flushHeaders();
      await Promise.resolve();
      response.end(counted('late body'));
    }

    @protect()
    @Post('stream')
    stream(@Res() response: Response): void {
      counted(chunks('piped ', BINARY, ' end')).pipe(response.type('application/x-piped'));
    }

    @protect()
    @Post('reused-buffer')
    reusedBuffer(@Res() response: Response): Promise<void> {
      counted(0);
      const buffer = Buffer.alloc(4);
      return new Promise((resolve) => {
        response.write(buffer.fill('a'), () => {
          response.write(buffer.fill('b'), () => {
            buffer.fill('c');
            response.end(resolve);
          });
        });
      });
    }

    @protect()
    @Post('later')
    later(@Res() response: Response): void {
      counted(0);
      setImmediate(() => response.json({ after: 'the handler returned' }));
    }

    @protect()
    @Post('redirect')
    redirect(@Res() response: Response): void {
      response.redirect(counted(303), '/elsewhere');
    }

    @protect()
    @Post('passthrough')
    passthrough(@Res({ passthrough: true }) response: Response): unknown {
      response.status(299).set('X-Own', 'passed').vary('Accept');
      return counted({ returned: true });
    }

    @protect()
    @Post('error-status')
    errorStatus(@Res() response: Response): void {
      response.status(counted(404)).json({ none: true });
    }

    @protect()
    @UseFilters(TeapotFilter)
    @Post('file')
    file(@Res() response: Response): void {
      counted(0);
      response.sendFile('LICENSE', { root: process.cwd() });
    }
  }
  Object.defineProperty(Replies, 'name', { value: `Express_${path}` });
  return Replies;
}

/** The same in the ways of Fastify. */
function fastifyReplies(path: string, protect: () => MethodDecorator): Type {
  @Controller(path)
  class Replies {
    @protect()
    @Post('send')
    send(@Res() reply: FastifyReply): void {
      void reply
        .status(202)
        .header('X-Own', 'fastify')
        .send(counted({ sent: true }));
    }

    @protect()
    @Post('send-bytes')
    sendBytes(@Res() reply: FastifyReply): void {
      void reply.send(counted(BINARY));
    }

    @protect()
    @Post('json')
    json(@Res() reply: FastifyReply): void {
      void reply
        .code(200)
        .headers({ location: '/somewhere' })
        .send(counted({ text: TEXT }));
    }

    @protect()
    @Post('stream')
    stream(@Res() reply: FastifyReply): void {
      void reply.type('application/x-piped').send(counted(chunks('piped ', BINARY, ' end')));
    }

    @protect()
    @Post('later')
    later(@Res() reply: FastifyReply): void {
      counted(0);
      setImmediate(() => void reply.send({ after: 'the handler returned' }));
    }

    @protect()
    @Post('redirect')
    redirect(@Res() reply: FastifyReply): void {
      void reply.redirect('/elsewhere', counted(303));
    }

    @protect()
    @Post('passthrough')
    passthrough(@Res({ passthrough: true }) reply: FastifyReply): unknown {
      void reply.status(299).header('X-Own', 'passed');
      return counted({ returned: true });
    }

    @protect()
    @Post('error-status')
    errorStatus(@Res() reply: FastifyReply): void {
      void reply.status(counted(404)).send({ none: true });
    }

    @protect()
    @Post('raw')
    raw(@Res() reply: FastifyReply): void {
      reply.hijack();
      reply.raw.writeHead(counted(203), { 'X-Own': 'raw', 'Content-Type': 'x/y' });
      reply.raw.write('first ');
      reply.raw.end(BINARY);
    }
  }
  Object.defineProperty(Replies, 'name', { value: `Fastify_${path}` });
  return Replies;
}

const OWN: Readonly<Record<Platform, readonly (readonly [string, number])[]>> = {
  express: [
    ['send', 202],
    ['send-bytes', 201],
    ['json', 200],
    ['end', 203],
    ['end-of-nothing', 204],
    ['head-and-writes', 206],
    ['head-of-pairs', 200],
    ['flushed-head', 201],
    ['stream', 201],
    ['reused-buffer', 201],
    ['later', 201],
    ['redirect', 303],
    ['passthrough', 299],
    ['error-status', 404],
    ['file', 201],
  ],
  fastify: [
    ['send', 202],
    ['send-bytes', 201],
    ['json', 200],
    ['stream', 201],
    ['later', 201],
    ['redirect', 303],
    ['passthrough', 299],
    ['error-status', 404],
    ['raw', 203],
  ],
};

const PROTECTED = () => Idempotent() as MethodDecorator;
const PLAIN = (): MethodDecorator => () => undefined;

/** A template engine of one line. */
function withTemplates(platform: Platform, app: INestApplication): void {
  const render = (_view: string, { name }: { name: string }) => `<p>Hello ${name}</p>`;
  if (platform === 'express') {
    const express = app as NestExpressApplication;
    express.setBaseViewsDir(process.cwd());
    express.engine(
      'json',
      (view: string, data: { name: string }, done: (...a: unknown[]) => void) =>
        done(null, render(view, data)),
    );
  } else {
    (app as NestFastifyApplication)
      .getHttpAdapter()
      .getInstance()
      .decorateReply('view', function (this: FastifyReply, view: string, data: { name: string }) {
        return this.type('text/html').send(render(view, data));
      });
  }
}

/** What every test here is about, whatever the application looks like. */
async function expectSameReplies(test: TestApp, path: string, status: number): Promise<void> {
  runs = 0;
  const plain = await test.send(`/plain/${path}`);
  expect(plain.status).toBe(status);
  expect(runs).toBe(1);
  const first = await test.send(`/kept/${path}`, { key: path });
  expect(essence(first)).toEqual(essence(plain));
  for (let retry = 0; retry < 2; retry++)
    expectReplay(first, await test.send(`/kept/${path}`, { key: path }));
  expect(runs).toBe(2);
}

/** A store that answers as those behind a network do: not at once. */
function remoteStore(): FaultInjectingStore {
  const store = new FaultInjectingStore(new MemoryStore());
  for (const verb of ['acquire', 'complete', 'release'] as const)
    store.always(verb, async (ask) => {
      await new Promise((resolve) => setImmediate(resolve));
      return ask();
    });
  return store;
}

const STORES = { memory: () => new MemoryStore(), remote: remoteStore };

describe.each(
  PLATFORMS.flatMap((platform) => [[platform, 'memory'] as const, [platform, 'remote'] as const]),
)('replies on %s with a %s store', (platform, kind) => {
  const ownReplies = platform === 'express' ? expressReplies : fastifyReplies;
  let test: TestApp;

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [
        commonReplies('plain', PLAIN),
        commonReplies('kept', PROTECTED),
        ownReplies('plain/own', PLAIN),
        ownReplies('kept/own', PROTECTED),
      ],
      idempotency: { store: STORES[kind]() },
      configure: (app) => withTemplates(platform, app),
    });
  });
  afterAll(() => test.close());

  it.each(COMMON)('of %s are the same at first, unprotected and replayed', (path, status) =>
    expectSameReplies(test, path, status),
  );

  it.each(OWN[platform])('sent by the handler with %s are the same', (path, status) =>
    expectSameReplies(test, `own/${path}`, status),
  );

  it('log no complaint about replies that were sent already', () => {
    expect(test.complaints).toEqual([]);
  });

  it('keep the bytes as they are', async () => {
    expect((await test.send('/kept/buffer', { key: 'b1' })).bytes).toEqual(
      (await test.send('/plain/buffer')).bytes,
    );
    const file = await test.send('/kept/file-of-buffer', { key: 'b2' });
    expect(file.bytes).toEqual(BINARY);
    expect((await test.send('/kept/file-of-buffer', { key: 'b2' })).bytes).toEqual(BINARY);
    expect((await test.send('/kept/string', { key: 'b3' })).text).toBe(TEXT);
    expect((await test.send('/kept/string', { key: 'b3' })).text).toBe(TEXT);
  });

  it('never show what the serializer took out', async () => {
    for (const path of ['serialized-above', 'serialized-below', 'envelope-and-serializer'])
      for (const _call of ['first', 'retry']) {
        const { text } = await test.send(`/kept/${path}`, { key: `serializer-${path}` });
        expect(text).toContain('account of alice');
        expect(text).not.toContain('hidden');
      }
  });
});

describe.each(PLATFORMS)('replies with interceptors further out on %s', (platform) => {
  let test: TestApp;
  afterEach(() => test.close());

  const controllers = () => [commonReplies('plain', PLAIN), commonReplies('kept', PROTECTED)];

  it('are serialized once by a global serializer', async () => {
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) =>
        app.useGlobalInterceptors(new ClassSerializerInterceptor(app.get(Reflector))),
    });
    for (const path of ['serialized-below', 'envelope-below', 'object', 'file-of-stream'])
      await expectSameReplies(test, path, 201);
    const { text } = await test.send('/kept/serialized-below', { key: 'again' });
    expect(text).not.toContain('hidden');
  });

  it('are serialized once by a serializer on the class', async () => {
    test = await boot(platform, {
      controllers: controllers().map((controller) => {
        UseInterceptors(ClassSerializerInterceptor)(controller);
        return controller;
      }),
    });
    await expectSameReplies(test, 'serialized-above', 201);
    await expectSameReplies(test, 'envelope-above', 201);
  });

  it('are wrapped once by a global envelope', async () => {
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalInterceptors(new Envelope()),
    });
    for (const path of ['object', 'undefined', 'envelope-below', 'serialized-above'])
      await expectSameReplies(test, path, 201);
    expect((await test.send('/kept/number', { key: 'env' })).json()).toEqual({
      data: 42.5,
      wrapped: true,
    });
    expect(test.complaints).toEqual([]);
  });

  it('let an interceptor further out see a replay come and end', async () => {
    const seen: string[] = [];
    class Logging implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle().pipe(
          tap({
            next: () => seen.push('next'),
            complete: () => seen.push('complete'),
            error: () => seen.push('error'),
          }),
        );
      }
    }
    class TimeOut implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle().pipe(timeout(60_000));
      }
    }
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalInterceptors(new Logging(), new TimeOut()),
    });
    const first = await test.send('/kept/object', { key: 'seen' });
    expect(seen.splice(0)).toEqual(['next', 'complete']);
    expectReplay(first, await test.send('/kept/object', { key: 'seen' }));
    expect(seen.splice(0)).toEqual(['next', 'complete']);
    for (const path of ['redirect', 'no-content', 'file-of-stream', 'headers'])
      for (const _call of ['first', 'retry']) await test.send(`/kept/${path}`, { key: 'seen' });
    expect(seen).toEqual(Array(8).fill(['next', 'complete']).flat());
    expect(test.complaints).toEqual([]);
  });

  it('take a header from an interceptor further out, once', async () => {
    let calls = 0;
    class Timing implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        const response = context.switchToHttp().getResponse<Response & FastifyReply>();
        const set = () => void (response.raw ?? response).setHeader('X-Call', String(++calls));
        return next.handle().pipe(tap(set), finalize(set));
      }
    }
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalInterceptors(new Timing()),
    });
    const first = await test.send('/kept/object', { key: 'timing' });
    expect(first.headers['x-call']).toBe('2');
    expectReplay(first, await test.send('/kept/object', { key: 'timing' }));
    expect(calls).toBe(4);
    expect(test.complaints).toEqual([]);
  });

  it('outlive an interceptor further out that answers in its own way', async () => {
    class Caching implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle().pipe(map(() => 'replaced'));
      }
    }
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalInterceptors(new Caching()),
    });
    await expectSameReplies(test, 'object', 201);
    expect((await test.send('/kept/object', { key: 'replaced' })).text).toBe('replaced');
  });

  it('are recorded as an own filter of the application wrote them', async () => {
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalFilters(new OwnHttpFilter()),
    });
    await expectSameReplies(test, 'exception', 422);
    await expectSameReplies(test, 'exception-of-nest', 400);
  });

  it('are not run at all when an interceptor further out answers instead', async () => {
    class Short implements NestInterceptor {
      intercept(): Observable<unknown> {
        return of('short');
      }
    }
    test = await boot(platform, {
      controllers: controllers(),
      configure: (app) => app.useGlobalInterceptors(new Short()),
    });
    runs = 0;
    for (const _call of ['first', 'retry'])
      expect((await test.send('/kept/object', { key: 'short' })).text).toBe('short');
    expect(runs).toBe(0);
  });
});

describe.each(PLATFORMS)('compressed replies on %s', (platform) => {
  let test: TestApp;
  const body = { text: 'compress me '.repeat(500) };

  @Controller()
  class Compressed {
    @Idempotent()
    @Post('json')
    json(): unknown {
      return counted(body);
    }

    @Idempotent()
    @Post('stream')
    stream(): StreamableFile {
      return counted(
        new StreamableFile(chunks(JSON.stringify(body)), { type: 'application/json' }),
      );
    }
  }

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Compressed],
      configure: async (app) => {
        if (platform === 'express')
          (app as NestExpressApplication).use(compression({ threshold: 0 }));
        else await (app as NestFastifyApplication).register(fastifyCompress, { threshold: 0 });
      },
    });
  });
  afterAll(() => test.close());

  const decoders = {
    gzip: gunzipSync,
    br: brotliDecompressSync,
    identity: (bytes: Buffer) => bytes,
  };
  const accepting = (path: string, key: string, encoding: string) =>
    test.send(path, { key, headers: { 'accept-encoding': encoding } });

  it.each([
    ['/json', 'gzip', 'gzip'],
    ['/json', 'br', 'br'],
    ['/json', 'gzip', 'identity'],
    ['/json', 'br', 'identity'],
    ['/json', 'identity', 'gzip'],
    ['/stream', 'gzip', 'gzip'],
    ['/stream', 'br', 'identity'],
    ['/stream', 'identity', 'gzip'],
  ] as const)('of %s for %s are readable when replayed for %s', async (path, first, second) => {
    runs = 0;
    const key = `${path}-${first}-${second}`;
    const one = await accepting(path, key, first);
    expect(one.headers['content-encoding'] ?? 'identity').toBe(first);
    const two = await accepting(path, key, second);
    expect(two.headers['idempotent-replayed']).toBe('true');
    const encoding = (two.headers['content-encoding'] ?? 'identity') as keyof typeof decoders;
    expect(['identity', second]).toContain(encoding);
    expect(decoders[encoding](two.bytes).toString()).toBe(JSON.stringify(body));
    expect(decoders[first](one.bytes).toString()).toBe(JSON.stringify(body));
    expect(runs).toBe(1);
  });

  it('are the same bytes for a client that asks for the same', async () => {
    const one = await accepting('/json', 'same', 'gzip');
    const two = await accepting('/json', 'same', 'gzip');
    expect(essence(two)).toEqual(essence(one));
  });

  it.each(['gzip;q=0', 'br;q=1, gzip;q=0.0', '', 'br, *;q=0', 'identity'])(
    'are not sent gzipped to a client that says "%s"',
    async (accepted) => {
      const key = createHash('sha256').update(accepted).digest('hex');
      await accepting('/json', key, 'gzip');
      const { headers } = await accepting('/json', key, accepted);
      expect(headers['content-encoding'] ?? 'identity').not.toBe('gzip');
    },
  );
});

describe.each(PLATFORMS)('replies behind middleware that sends them later on %s', (platform) => {
  let test: TestApp;

  /** As sessions do, which are saved first. */
  @Module({})
  class SavedFirst {
    configure(consumer: MiddlewareConsumer): void {
      consumer
        .apply((_request: unknown, response: ServerResponse, next: () => void) => {
          const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
          response.end = (...args: unknown[]) => {
            setImmediate(() => end(...args));
            return response;
          };
          next();
        })
        .forRoutes('*path');
    }
  }

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [commonReplies('plain', PLAIN), commonReplies('kept', PROTECTED)],
      imports: [SavedFirst],
      idempotency: { store: remoteStore() },
    });
  });
  afterAll(() => test.close());

  it.each([
    ['object', 201],
    ['no-content', 204],
    ['redirect-303', 303],
    ['headers', 202],
    ['file-of-stream', 201],
    ['exception', 422],
  ])('are the same: %s', async (path, status) => {
    await expectSameReplies(test, path, status);
    expect(test.complaints).toEqual([]);
  });
});

describe.each(PLATFORMS)('large replies on %s', (platform) => {
  let test: TestApp;
  const limit = 64 * 1024;

  @Controller()
  class Large {
    @Idempotent()
    @Post('exact')
    exact(): StreamableFile {
      return counted(new StreamableFile(Buffer.alloc(limit, BINARY)));
    }

    @Idempotent()
    @Post('over')
    over(): StreamableFile {
      return counted(new StreamableFile(Buffer.alloc(limit + 1, BINARY)));
    }

    @Idempotent()
    @Post('over-at-once')
    overAtOnce(): string {
      return counted('x'.repeat(limit + 1));
    }

    @Idempotent()
    @Header('X-Own', 'kept')
    @HttpCode(202)
    @Post('stream')
    stream(): StreamableFile {
      const parts = Array.from({ length: 64 }, (_, i) => Buffer.alloc(16 * 1024, i));
      return counted(new StreamableFile(Readable.from(parts)));
    }
  }

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Large],
      idempotency: { maxResponseBytes: limit },
    });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
  });

  it('are kept up to the limit', async () => {
    expectReplay(
      await test.send('/exact', { key: 'exact' }),
      await test.send('/exact', { key: 'exact' }),
    );
    expect(runs).toBe(1);
  });

  it('are sent whole but not kept one byte beyond it', async () => {
    const first = await test.send('/over', { key: 'over' });
    expect(first.bytes.equals(Buffer.alloc(limit + 1, BINARY))).toBe(true);
    expectProblem(await test.send('/over', { key: 'over' }), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
  });

  it('are sent whole but not kept when they come at once', async () => {
    expect((await test.send('/over-at-once', { key: 'k' })).bytes.length).toBe(limit + 1);
    expectProblem(
      await test.send('/over-at-once', { key: 'k' }),
      409,
      'IDEMPOTENCY_REPLY_NOT_KEPT',
    );
    expect(runs).toBe(1);
  });

  it('stream through byte for byte', async () => {
    const first = await test.send('/stream', { key: 'stream' });
    expect(first).toMatchObject({ status: 202, headers: { 'x-own': 'kept' } });
    expect(first.bytes.length).toBe(64 * 16 * 1024);
    expect(first.bytes.every((byte, i) => byte === Math.floor(i / 16 / 1024))).toBe(true);
    expectProblem(await test.send('/stream', { key: 'stream' }), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
    expect(test.complaints).toEqual([]);
  });
});

const CHALLENGES = [
  ['WWW-Authenticate', 'Bearer realm="shop", error="insufficient_scope"'],
  ['Proxy-Authenticate', 'Basic realm="proxy"'],
  ['Upgrade', 'websocket, h2c'],
] as const;

/** Some of those that are never recorded, of each kind. */
const OF_ONE_REQUEST = [
  'traceparent',
  'traceresponse',
  'tracestate',
  'x-b3-traceid',
  'server-timing',
  'x-response-time',
  'request-id',
  'ratelimit',
  'ratelimit-remaining',
  'x-ratelimit-reset',
  'www-authenticate',
  'x-csrf-token',
  'set-cookie',
];

describe.each(PLATFORMS)('headers that are not replayed on %s', (platform) => {
  let test: TestApp;
  let requests = 0;

  @Controller()
  class Headers {
    @Idempotent()
    @Header('X-Kept', 'by the handler')
    @Post('headers')
    headers(@Res({ passthrough: true }) response: Response & FastifyReply): unknown {
      response.header('Set-Cookie', 'session=first; HttpOnly');
      response.header('X-Request-Id', 'of the handler');
      response.header('Access-Control-Max-Age', '5');
      response.header('Authentication-Info', 'nextnonce="x"');
      return counted({ ok: true });
    }

    @Idempotent()
    @Post('of-one-request')
    ofOneRequest(@Res({ passthrough: true }) response: Response & FastifyReply): void {
      counted(0);
      for (const name of [...OF_ONE_REQUEST, 'x-signed-by', 'x-nonce', 'x-stays', 'retry-after'])
        response.header(name, 'first');
    }

    @Idempotent()
    @Post('challenged')
    challenged(
      @Query('status') status: string,
      @Res({ passthrough: true }) response: Response & FastifyReply,
    ): never {
      for (const [name, value] of CHALLENGES) response.header(name, value);
      throw counted(new HttpException('no', Number(status)));
    }

    @Idempotent({ onError: 'store' })
    @Post('told-to-wait')
    toldToWait(@Res({ passthrough: true }) response: Response & FastifyReply): never {
      response.header('Retry-After', '60');
      throw counted(new HttpException('later', 503));
    }
  }

  @Module({})
  class Limits {
    configure(consumer: MiddlewareConsumer): void {
      consumer
        .apply((_request: unknown, response: Response, next: () => void) => {
          requests += 1;
          response.setHeader('X-RateLimit-Remaining', String(100 - requests));
          response.setHeader('X-Request-Id', `request-${requests}`);
          response.setHeader('X-Kept', 'by middleware');
          response.setHeader('X-Served-By', `server ${requests}`);
          next();
        })
        .forRoutes('*path');
    }
  }

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Headers],
      imports: [Limits],
      idempotency: { unrecordedHeaders: ['X-Signed-*', 'X-Nonce'] },
      configure: (app) => app.enableCors({ origin: true, credentials: true }),
    });
  });
  afterAll(() => test.close());

  it('are those of one request alone; what the handler set is', async () => {
    const from = (origin: string) => test.send('/headers', { key: 'mine', headers: { origin } });
    const first = await from('https://one.example.com');
    expect(first.headers['set-cookie']).toEqual(['session=first; HttpOnly']);
    expect(first.headers).toMatchObject({
      'access-control-allow-origin': 'https://one.example.com',
      'x-ratelimit-remaining': '99',
      'x-kept': 'by the handler',
      'x-request-id': 'of the handler',
    });
    const replay = await from('https://two.example.com');
    expect(replay.headers).toMatchObject({
      'idempotent-replayed': 'true',
      'access-control-allow-origin': 'https://two.example.com',
      'x-ratelimit-remaining': '98',
      'x-kept': 'by the handler',
      'x-request-id': 'request-2',
      'x-served-by': 'server 2',
    });
    expect(replay.headers).not.toHaveProperty('set-cookie');
    expect(replay.headers).not.toHaveProperty('authentication-info');
    expect(replay.headers).not.toHaveProperty('access-control-max-age');
    expect(replay.text).toBe(first.text);
  });

  it('are those of traces, limits, sessions, and what the application names', async () => {
    const first = await test.send('/of-one-request', { key: 'one' });
    const replay = await test.send('/of-one-request', { key: 'one' });
    const unrecorded = [...OF_ONE_REQUEST, 'x-signed-by', 'x-nonce'];
    for (const name of unrecorded) {
      expect(first.headers).toHaveProperty(name);
      expect(replay.headers).not.toHaveProperty(name);
    }
    expect(replay.headers).toMatchObject({
      'idempotent-replayed': 'true',
      'x-stays': 'first',
      'retry-after': 'first',
    });
  });

  it.each([
    [401, 'www-authenticate'],
    [407, 'proxy-authenticate'],
    [426, 'upgrade'],
    [403, undefined],
  ])('are not what a reply with %d must have: %s', async (status, needed) => {
    const ask = () => test.send(`/challenged?status=${status}`, { key: `challenged-${status}` });
    const first = await ask();
    const replay = await ask();
    expect(replay).toMatchObject({ status, text: first.text });
    expect(replay.headers['idempotent-replayed']).toBe('true');
    for (const [name, value] of CHALLENGES) {
      const lower = name.toLowerCase();
      expect(first.headers[lower]).toBe(value);
      expect(replay.headers[lower]).toBe(lower === needed ? value : undefined);
    }
    const connection = needed === 'upgrade' ? 'Upgrade' : 'close';
    expect(replay.headers['connection']).toBe(connection);
  });

  it('are those of when to come back, with a failure that was stored', async () => {
    const wait = () => test.send('/told-to-wait', { key: 'wait' });
    expect((await wait()).headers['retry-after']).toBe('60');
    const replay = await wait();
    expect(replay).toMatchObject({ status: 503, headers: { 'idempotent-replayed': 'true' } });
    expect(replay.headers).not.toHaveProperty('retry-after');
  });

  it('are those of the first connection', async () => {
    const close = () =>
      test.send('/headers', { key: 'connection', headers: { connection: 'close' } });
    await close();
    const replay = await test.send('/headers', {
      key: 'connection',
      headers: { connection: 'keep-alive' },
    });
    expect(replay.headers.connection).toBe('keep-alive');
    expect(replay.headers).not.toHaveProperty('transfer-encoding');
  });
});
