import multipart from '@fastify/multipart';
import { Body, Controller, type INestApplication, Post } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import multer from 'multer';
import { Idempotent, MemoryStore } from 'nestjs-idempotency';
import { expectProblem, expectReplay, type TestApp } from '../support/http.js';
import { bootTokenShop, CASES, tokenFor } from './support/token-shop.js';

@Controller()
class Shop {
  private runs = 0;

  @Idempotent({ strategy: 'token' })
  @Post('comments')
  comment(@Body() { text }: { text: string }): object {
    return { text, run: ++this.runs };
  }
}

async function parseMultipart(app: INestApplication): Promise<void> {
  if (app.getHttpAdapter().getType() === 'express') app.use(multer().none());
  else {
    const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
    await fastify.register(multipart, { attachFieldsToBody: 'keyValues' });
  }
}

type Fields = Record<string, string>;

const FORMS = {
  'application/json': (fields: Fields) => JSON.stringify(fields),
  'application/x-www-form-urlencoded': (fields: Fields) => String(new URLSearchParams(fields)),
  'multipart/form-data; boundary=x': (fields: Fields) =>
    [
      ...Object.entries(fields).map(
        ([name, value]) => `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}`,
      ),
      '--x--\r\n',
    ].join('\r\n'),
};

describe.each(CASES)('the form field _idempotency_token, $mode on $platform', (given) => {
  let test: TestApp;
  beforeEach(async () => {
    const { platform, tokens } = given;
    test = await bootTokenShop(
      platform,
      { store: new MemoryStore(), tokens },
      { controllers: [Shop], configure: parseMultipart },
    );
  });
  afterEach(() => test.close());

  it.each(Object.entries(FORMS))('carries the token in %s', async (type, form) => {
    const submit = (fields: Fields) =>
      test.send('/comments', {
        body: form({ text: 'hello', ...fields }),
        headers: { 'content-type': type, 'x-user': 'alice' },
      });
    const token = await tokenFor(test);
    const first = await submit({ _idempotency_token: token });
    expect(first).toMatchObject({ status: 201, text: '{"text":"hello","run":1}' });
    expectReplay(first, await submit({ _idempotency_token: token }));
    expectProblem(await submit({ _idempotency_token: 'x' }), 422, 'IDEMPOTENCY_TOKEN_INVALID');
    expectProblem(await submit({}), 400, 'IDEMPOTENCY_KEY_REQUIRED');
  });

  it('counts where there is no header', async () => {
    const [inHeader, inField] = [await tokenFor(test), await tokenFor(test)];
    const body = { text: 'hello', _idempotency_token: inField };
    const headers = { 'x-user': 'alice' };
    expect((await test.send('/comments', { key: inHeader, body, headers })).status).toBe(201);
    expect((await test.send('/comments', { body, headers })).json()).toMatchObject({ run: 2 });
  });
});
