import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { IdempotencyConfigurationError } from '../../src/engine/configuration-error.js';
import { InvalidKeyError } from '../../src/keys/key-source.js';
import { header } from '../../src/keys/key-sources.js';
import type { IncomingRequest } from '../../src/keys/call.js';
import { callOf, callWithHeader } from './call.js';

/** What Node makes of the given header lines. */
async function received(lines: readonly string[]): Promise<IncomingMessage> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const request = new Promise<IncomingMessage>((resolve) => {
    server.once('request', (incoming: IncomingMessage, response) => {
      response.end();
      resolve(incoming);
    });
  });
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines.join('\r\n')}\r\n\r\n`);
  const incoming = await request;
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return incoming;
}

function express(incoming: IncomingMessage): IncomingRequest {
  return incoming as unknown as IncomingRequest;
}

function fastify(incoming: IncomingMessage): IncomingRequest {
  return { headers: incoming.headers, raw: incoming };
}

describe('a key in a header', () => {
  it('is missing when the header is', () => {
    expect(header().read(callOf())).toBeUndefined();
  });

  it('is the same quoted and bare, with blanks around it', () => {
    for (const value of ['abc', '"abc"', ' abc ', ' "abc" ']) {
      expect(header().read(callWithHeader(value))).toBe('abc');
    }
  });

  it('is found under any case of the name', () => {
    expect(header('x-CLIENT-id').read(callWithHeader('abc', 'X-Client-Id'))).toBe('abc');
  });

  it('is found under the name of the module', () => {
    const source = header().resolve?.({ headerName: 'X-Request-Key' });
    expect(source?.description).toBe('header X-Request-Key');
    expect(source?.read(callWithHeader('abc', 'X-Request-Key'))).toBe('abc');
    expect(source?.read(callWithHeader('abc'))).toBeUndefined();
  });

  it('keeps a name of its own whatever the name of the module', () => {
    expect(header('X-Client-Id').resolve).toBeUndefined();
  });

  it.each(['', 'X Client', 'X-Client:', 'Schl\u00fcssel', 'a\n'])(
    'refuses %j as name at boot',
    (name) => {
      expect(() => header(name)).toThrow(IdempotencyConfigurationError);
      expect(() => header().resolve?.({ headerName: name })).toThrow(IdempotencyConfigurationError);
    },
  );

  it('is read from a list of one and refused from a list of two', () => {
    const call = (value: string[]) => callOf({ headers: { 'idempotency-key': value } });
    expect(header().read(call(['abc']))).toBe('abc');
    expect(() => header().read(call(['abc', 'abc']))).toThrow(InvalidKeyError);
  });

  it('is refused when the lines cannot be seen and there may be two', () => {
    const headers = { 'idempotency-key': '"a, b"' };
    expect(() => header().read(callOf({ headers }))).toThrow('more than once');
  });
});

describe.each([
  ['Express', express],
  ['Fastify', fastify],
])('a key in a header of a request as %s has it', (_, requestOf) => {
  async function keyOf(...lines: string[]): Promise<unknown> {
    const request = requestOf(await received(lines));
    return header().read({ ...callOf(), request });
  }

  it('is read from one line, also one with a comma in it', async () => {
    await expect(keyOf('Idempotency-Key: "a, b"')).resolves.toBe('a, b');
    await expect(keyOf('IDEMPOTENCY-KEY: a,b', 'X-Other: c')).resolves.toBe('a,b');
  });

  it.each([
    ['two different keys', ['Idempotency-Key: a', 'Idempotency-Key: b']],
    ['the same key twice', ['Idempotency-Key: a', 'idempotency-key: a']],
    ['two quoted keys', ['Idempotency-Key: "a"', 'Idempotency-Key: "b"']],
    ['two halves of a string', ['Idempotency-Key: "a', 'Idempotency-Key: b"']],
    ['an empty line after a key', ['Idempotency-Key: a', 'Idempotency-Key:']],
    ['an empty line before a key', ['Idempotency-Key:', 'Idempotency-Key: a']],
    ['two empty lines', ['Idempotency-Key:', 'Idempotency-Key:']],
  ])('is refused from two lines: %s', async (_case, lines) => {
    await expect(keyOf(...lines)).rejects.toThrow('more than once');
  });

  it('is refused from two lines of which Node hides the second', async () => {
    const request = requestOf(await received(['Authorization: a', 'Authorization: b']));
    expect(request.headers.authorization).toBe('a');
    expect(() => header('Authorization').read({ ...callOf(), request })).toThrow('more than once');
  });
});
