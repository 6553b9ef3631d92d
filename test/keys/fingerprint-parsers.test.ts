import multipart from '@fastify/multipart';
import express, { type Request, type RequestHandler, type Response } from 'express';
import fastify, { type FastifyInstance } from 'fastify';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import multer, { memoryStorage } from 'multer';
import type { IncomingRequest } from '../../src/keys/call.js';
import { FingerprintUnavailableError, requestFingerprint } from '../../src/keys/fingerprint.js';
import { callOf } from './call.js';

/** The fingerprint, or the name of the error that there is instead. */
function outcome(request: unknown): string {
  try {
    return requestFingerprint({ ...callOf(), request: request as IncomingRequest });
  } catch (error) {
    if (error instanceof FingerprintUnavailableError) return 'unavailable';
    throw error;
  }
}

function form(content: string, name = 'a.txt'): FormData {
  const data = new FormData();
  data.set('title', 't');
  data.set('photo', new Blob([content], { type: 'text/plain' }), name);
  return data;
}

type Send = (body: string | FormData | URLSearchParams | null, type?: string) => Promise<string>;

function sender(port: number): Send {
  return async (body, type) => {
    // A connection that is kept alive may be closing.
    const headers = { connection: 'close', ...(type !== undefined && { 'content-type': type }) };
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers });
    return response.text();
  };
}

async function withExpress(parsers: RequestHandler[], use: (send: Send) => Promise<void>) {
  const app = express();
  app.post('/', ...parsers, (request: Request, response: Response) => {
    response.send(outcome(request));
  });
  const server = createServer(app as never);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(sender((server.address() as AddressInfo).port));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function withFastify(
  register: (app: FastifyInstance) => unknown,
  use: (send: Send) => Promise<void>,
) {
  const app = fastify();
  register(app);
  app.post('/', (request, reply) => reply.send(outcome(request)));
  await app.listen({ port: 0, host: '127.0.0.1' });
  try {
    await use(sender((app.server.address() as AddressInfo).port));
  } finally {
    app.server.closeAllConnections();
    await app.close();
  }
}

async function expectCompared(one: Promise<string>, same: Promise<string>, other: Promise<string>) {
  const [first, retry, different] = await Promise.all([one, same, other]);
  expect(first).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
  expect(retry).toBe(first);
  expect(different).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
  expect(different).not.toBe(first);
}

describe('the fingerprint with Express', () => {
  const memory = multer({ storage: memoryStorage() });

  it('compares JSON and forms', () =>
    withExpress([express.json(), express.urlencoded()], async (send) => {
      const json = 'application/json';
      await expectCompared(
        send('{"a":1,"b":2}', json),
        send('{"b":2, "a":1.0}', json),
        send('{"a":2}', json),
      );
      const [a, b] = [new URLSearchParams('a=1&b=2'), new URLSearchParams('b=2&a=1')];
      await expectCompared(send(a), send(b), send(new URLSearchParams('a=1')));
      await expect(send('{}', json)).resolves.toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
      await expect(send(null)).resolves.toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
    }));

  it.each([
    ['single', memory.single('photo')],
    ['array', memory.array('photo')],
    ['fields', memory.fields([{ name: 'photo' }])],
    ['any', memory.any()],
  ])('compares what multer has in memory: %s', (_, parser) =>
    withExpress([parser], async (send) => {
      await expectCompared(send(form('A')), send(form('A')), send(form('B')));
      await expectCompared(send(form('A')), send(form('A')), send(form('A', 'b.txt')));
    }),
  );

  it('takes an empty form from multer', () =>
    withExpress([memory.any()], async (send) => {
      const empty = '--x--\r\n';
      await expect(send(empty, 'multipart/form-data; boundary=x')).resolves.toMatch(
        /^[0-9a-f]{64}\.[0-9a-f]{32}$/,
      );
    }));

  it('refuses what nobody has parsed', () =>
    withExpress([express.json()], async (send) => {
      await expect(send(form('A'))).resolves.toBe('unavailable');
      await expect(send('<a/>', 'text/xml')).resolves.toBe('unavailable');
      await expect(send(new URLSearchParams('a=1'))).resolves.toBe('unavailable');
    }));

  it('compares bytes and text from parsers that keep them', () =>
    withExpress([express.raw({ type: 'text/xml' }), express.text()], async (send) => {
      for (const type of ['text/xml', 'text/plain']) {
        await expectCompared(send('<a/>', type), send('<a/>', type), send('<b/>', type));
      }
    }));
});

describe('the fingerprint with Fastify', () => {
  it('compares JSON', () =>
    withFastify(
      () => undefined,
      async (send) => {
        const json = 'application/json';
        await expectCompared(
          send('{"a":1,"b":2}', json),
          send('{"b":2, "a":1.0}', json),
          send('{"a":2}', json),
        );
        await expect(send('{}', json)).resolves.toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
        await expect(send(null)).resolves.toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
      },
    ));

  it('compares forms of which the values are attached to the body', () =>
    withFastify(
      (app) => app.register(multipart, { attachFieldsToBody: 'keyValues' }),
      async (send) => {
        await expectCompared(send(form('A')), send(form('A')), send(form('B')));
      },
    ));

  it.each([
    ['left to the handler', {}],
    ['attached as parts', { attachFieldsToBody: true as const }],
  ])('refuses forms that are %s', (_, options) =>
    withFastify(
      (app) => app.register(multipart, options),
      async (send) => {
        await expect(send(form('A'))).resolves.toBe('unavailable');
      },
    ),
  );

  it('refuses a stream', () =>
    withFastify(
      (app) =>
        app.addContentTypeParser('*', (_request, payload, done) => {
          done(null, payload);
        }),
      async (send) => {
        await expect(send('<a/>', 'text/xml')).resolves.toBe('unavailable');
      },
    ));
});
