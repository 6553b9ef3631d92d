import { Controller, Post, Query, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Idempotent } from 'nestjs-idempotency';
import { gzipSync } from 'node:zlib';
import { CODINGS, contentDigest, decodedBy, encoded } from '../support/content-codings.js';
import { boot, essence, expectProblem, type Reply, type TestApp } from '../support/http.js';

const TEXT = JSON.stringify({ text: 'Ünïcödé, encoded again and again. '.repeat(100) });
const MEBIBYTE = 1024 * 1024;

@Controller()
class Encoded {
  @Idempotent()
  @Post('encoded')
  encoded(
    @Query('codings') codings: string,
    @Query('status') status = '201',
    @Res({ passthrough: true }) response: Response,
  ): void {
    const bytes = encoded(codings, Buffer.from(TEXT));
    response.status(Number(status)).set({
      'Content-Type': 'application/json',
      ...(codings !== '' && { 'Content-Encoding': codings.replaceAll('deflate-raw', 'deflate') }),
      'Content-Digest': contentDigest(bytes),
      'Repr-Digest': contentDigest(bytes),
      Digest: 'sha-256=old',
      'Content-MD5': 'old',
      'Accept-Ranges': 'bytes',
      Signature: 'sig1=:c2lnbmVk:',
      'Signature-Input': 'sig1=("content-digest")',
      ETag: '"v1"',
      Vary: 'Accept',
      'X-Own': 'stays',
    });
    response.end(bytes);
  }

  @Idempotent()
  @Post('unknown')
  unknown(@Query('coding') coding: string, @Res() response: Response): void {
    response.set('Content-Encoding', coding).end('nobody can read this');
  }

  @Idempotent()
  @Post('bomb')
  bomb(@Res() response: Response): void {
    response.set('Content-Encoding', 'gzip').end(gzipSync(Buffer.alloc(40 * MEBIBYTE)));
  }
}

describe('an encoded reply', () => {
  let test: TestApp;
  let key: string;
  let keys = 0;

  beforeAll(async () => {
    test = await boot('express', { controllers: [Encoded] });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    key = `coding-${++keys}`;
  });

  const accepting = (path: string, accepted: string | undefined): Promise<Reply> =>
    test.send(path, {
      key,
      headers: accepted === undefined ? {} : { 'accept-encoding': accepted },
    });

  it.each([...Object.keys(CODINGS), 'x-gzip', 'deflate-raw', 'br, gzip', 'gzip, gzip, deflate'])(
    'of %s is sent as recorded to who has no preference, and decoded for who wants none',
    async (codings) => {
      const path = `/encoded?codings=${codings.replaceAll(' ', '%20')}`;
      const first = await accepting(path, undefined);
      const same = await accepting(path, undefined);
      expect(same.headers['idempotent-replayed']).toBe('true');
      expect(essence(same)).toEqual(essence(first));
      for (const accepted of ['', 'identity', 'compress']) {
        const decoded = await accepting(path, accepted);
        expect(decoded.text).toBe(TEXT);
        expect(decoded.headers).toMatchObject({
          'idempotent-replayed': 'true',
          'content-length': String(Buffer.byteLength(TEXT)),
          'x-own': 'stays',
        });
      }
    },
  );

  it('loses what was made over the encoded bytes when it is decoded', async () => {
    const path = '/encoded?codings=gzip';
    await accepting(path, 'gzip');
    const { headers } = await accepting(path, 'identity');
    for (const name of [
      'content-encoding',
      'content-digest',
      'repr-digest',
      'digest',
      'content-md5',
      'accept-ranges',
      'signature',
      'signature-input',
    ])
      expect(headers).not.toHaveProperty(name);
    expect(headers['etag']).toBe('W/"v1"');
    expect(headers['vary']).toBe('Accept, Accept-Encoding');
  });

  it.each([
    ['gzip, identity;q=0', 'gzip'],
    ['GZip;q=0.001', 'gzip'],
    ['x-gzip', 'gzip'],
    ['*', 'gzip'],
    ['br, *;q=0.5', 'gzip'],
    ['gzip;q=0, *', undefined],
    ['br;q=1, gzip;q=0.000', undefined],
    ['br, *;q=0, identity', undefined],
    ['', undefined],
  ])('is sent for "%s" as %s', async (accepted, coding) => {
    const path = '/encoded?codings=gzip';
    await accepting(path, 'gzip');
    const { headers, bytes } = await accepting(path, accepted);
    expect(headers['content-encoding']).toBe(coding);
    expect(decodedBy(coding, bytes).toString()).toBe(TEXT);
    expect(headers['content-digest']).toBe(coding && contentDigest(bytes));
  });

  it('keeps the codings that the client accepts', async () => {
    const path = '/encoded?codings=br,%20gzip';
    await accepting(path, undefined);
    const { headers, bytes } = await accepting(path, 'br');
    expect(headers['content-encoding']).toBe('br');
    expect(decodedBy('br', bytes).toString()).toBe(TEXT);
  });

  it('without a coding is sent whatever the client says', async () => {
    const first = await accepting('/encoded?codings=', undefined);
    const second = await accepting('/encoded?codings=', 'gzip, identity;q=0');
    expect(essence(second)).toEqual(essence(first));
  });

  it.each([
    ['of a coding that nobody knows', '/unknown?coding=aes256', '', 'aes256'],
    ['that is not what its header says', '/unknown?coding=gzip', 'br', 'gzip'],
    ['that is a part of something encoded', '/encoded?codings=gzip&status=206', 'br', 'gzip'],
    ['that would be far too large', '/bomb', 'identity', 'gzip'],
    ['for a client that refuses to get it decoded', '/encoded?codings=br', 'gzip, *;q=0', 'br'],
  ])('%s is refused, never sent unreadable', async (_name, path, accepted, coding) => {
    const first = await accepting(path, undefined);
    expect(first.headers).not.toHaveProperty('idempotency-error');
    const refused = await accepting(path, accepted);
    expectProblem(refused, 406, 'IDEMPOTENCY_REPLY_NOT_ACCEPTABLE');
    expect(refused.headers['idempotency-error']).toBe('IDEMPOTENCY_REPLY_NOT_ACCEPTABLE');
    expect(refused.headers).not.toHaveProperty('retry-after');
    expect(refused.json()).toMatchObject({
      retryable: false,
      detail: expect.stringContaining(`"Accept-Encoding: ${coding}"`) as string,
    });
    const accepted2 = await accepting(path, coding);
    expect(accepted2.headers['idempotent-replayed']).toBe('true');
    expect(essence(accepted2)).toEqual(essence(first));
  });

  it('by a newer Node may be readable for another process', async () => {
    await accepting('/unknown?coding=zstd', undefined);
    const refused = await accepting('/unknown?coding=zstd', 'gzip');
    expectProblem(refused, 406, 'IDEMPOTENCY_REPLY_NOT_ACCEPTABLE');
    const isKnown = 'zstd' in CODINGS;
    expect(refused.json()).toMatchObject({ retryable: !isKnown });
    expect(refused.headers['retry-after']).toBe(isKnown ? undefined : '1');
  });
});
