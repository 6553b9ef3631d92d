import { Controller, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import { Idempotent } from 'nestjs-idempotency';
import type { ServerResponse } from 'node:http';
import { contentDigest } from '../support/content-codings.js';
import { boot, expectReplay, PLATFORMS, type TestApp } from '../support/http.js';

const DIGEST = contentDigest('first last');
let runs = 0;

const rawOf = (response: Response & FastifyReply): ServerResponse => {
  runs += 1;
  if (!('raw' in response)) return response;
  response.hijack();
  return response.raw;
};

@Controller()
class Trailers {
  @Idempotent()
  @Post('announced')
  announced(@Res() response: Response & FastifyReply): void {
    const raw = rawOf(response);
    raw.writeHead(201, { Trailer: 'Content-Digest, X-Rows' });
    raw.write('first ');
    raw.write('last');
    raw.addTrailers({ 'Content-Digest': DIGEST, 'X-Rows': '2', 'Server-Timing': 'db;dur=5' });
    raw.end();
  }

  /** Node sends them too: the reply is chunked, because it came in pieces. */
  @Idempotent()
  @Post('unannounced')
  unannounced(@Res() response: Response & FastifyReply): void {
    const raw = rawOf(response);
    raw.write('first ');
    raw.addTrailers([['Content-Digest', DIGEST]]);
    raw.end('last');
  }

  /** Node drops them without a word: the reply has a length. */
  @Idempotent()
  @Post('dropped')
  dropped(@Res() response: Response & FastifyReply): void {
    const raw = rawOf(response);
    raw.addTrailers({ 'Content-Digest': DIGEST });
    raw.end('first last');
  }
}

@Controller()
class FastifyTrailers {
  @Idempotent()
  @Post('fastify')
  fastify(@Res({ passthrough: true }) reply: FastifyReply): string {
    runs += 1;
    reply.trailer('content-digest', (_reply, payload, done) =>
      done(null, contentDigest(payload as string)),
    );
    return 'first last';
  }
}

describe.each(PLATFORMS)('trailers on %s', (platform) => {
  let test: TestApp;
  let hooks = 0;

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: platform === 'express' ? [Trailers] : [Trailers, FastifyTrailers],
    });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
  });

  async function expectTrailers(path: string, trailers: Record<string, string>): Promise<void> {
    const first = await test.send(path, { key: path });
    expect(first).toMatchObject({ text: 'first last' });
    expect(first.trailers).toMatchObject(trailers);
    for (const _retry of [1, 2]) {
      const replay = await test.send(path, { key: path });
      expect(replay.trailers).toEqual(trailers);
      expectReplay({ ...first, trailers }, replay);
    }
    expect(runs).toBe(1);
    expect(test.complaints).toEqual([]);
  }

  it('that were announced are replayed, but for those of one request', () =>
    expectTrailers('/announced', { 'content-digest': DIGEST, 'x-rows': '2' }));

  it('that were not announced are replayed', () =>
    expectTrailers('/unannounced', { 'content-digest': DIGEST }));

  it('that Node drops are on no replay either', () => expectTrailers('/dropped', {}));

  it('are refused to a client that cannot get them, which learns what to do', async () => {
    await test.send('/announced', { key: 'old' });
    const connection = await test.raw(
      'POST /announced HTTP/1.0\r\nContent-Length: 0\r\nIdempotency-Key: old\r\n\r\n',
    );
    const received = await connection.received;
    expect(received).toContain(' 406 ');
    expect(received).toContain('"code":"IDEMPOTENCY_REPLY_NOT_ACCEPTABLE"');
    expect(received).toContain('HTTP/1.1 or newer');
    expect((await test.send('/announced', { key: 'old' })).trailers).toHaveProperty('x-rows', '2');
  });

  if (platform === 'fastify') {
    it("that Fastify makes are replayed, and a hook's are the replay's own", async () => {
      await expectTrailers('/fastify', { 'content-digest': DIGEST });
      await test.close();
      test = await boot(platform, {
        controllers: [Trailers, FastifyTrailers],
        configure: (app) =>
          (app as NestFastifyApplication)
            .getHttpAdapter()
            .getInstance()
            .addHook('onSend', async (_request, reply) => {
              hooks += 1;
              reply.trailer('x-hook', (_reply, _payload, done) => done(null, String(hooks)));
            }),
      });
      const first = await test.send('/fastify', { key: 'hook' });
      expect(first.trailers).toEqual({ 'content-digest': DIGEST, 'x-hook': '1' });
      const replay = await test.send('/fastify', { key: 'hook' });
      expect(replay.headers['idempotent-replayed']).toBe('true');
      expect(replay.trailers).toEqual({ 'content-digest': DIGEST, 'x-hook': '2' });
      expect(replay.text).toBe('first last');
      expect(test.complaints).toEqual([]);
    });
  }
});
