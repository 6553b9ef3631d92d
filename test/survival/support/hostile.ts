import type { ServerResponse } from 'node:http';

/** What hostile code has in its hands. */
export interface Hands {
  /** Node's own response, whatever the platform. */
  readonly raw: ServerResponse;
  /** The platform's: Express's response, Fastify's reply. */
  readonly reply: PlatformReply;
}

/** What both platforms have. */
export interface PlatformReply {
  header(name: string, value: string): unknown;
  status(code: number): unknown;
  send(body: unknown): unknown;
}

/** As a number of the platform's own, or of code that has it from elsewhere. */
const unknown = (value: unknown): never => value as never;
const CYRILLIC = 'attachment; filename="накладная.pdf"';

/**
 * Handlers that answer by themselves with what Node refuses, early or late. Where one goes on after
 * that, it is what the framework does next that counts.
 */
export const ANSWERING: Record<string, (hands: Hands) => unknown> = {
  'a header with a letter outside Latin-1, set': ({ raw }) => {
    raw.setHeader('Content-Disposition', CYRILLIC);
    raw.end('x');
  },
  'a header with a letter outside Latin-1, set by the platform': ({ reply }) => {
    reply.header('Content-Disposition', CYRILLIC);
    reply.send('x');
  },
  'a header with a letter outside Latin-1 in the head': ({ raw }) => {
    raw.writeHead(200, { 'Content-Disposition': CYRILLIC });
    raw.end('x');
  },
  'a header with a letter outside Latin-1 in a list': ({ raw }) => {
    raw.writeHead(200, ['Content-Disposition', CYRILLIC]);
    raw.end('x');
  },
  'one of several values with a letter outside Latin-1': ({ raw }) => {
    raw.writeHead(200, { 'Set-Cookie': ['a=1', 'b=ключ'] });
    raw.end('x');
  },
  'a header with a line break': ({ raw }) => {
    raw.writeHead(200, { 'X-Line': 'a\r\nSet-Cookie: b' });
    raw.end('x');
  },
  'a header without a value': ({ raw }) => {
    raw.writeHead(200, { 'X-Nothing': undefined });
    raw.end('x');
  },
  'a header whose name is none': ({ raw }) => {
    raw.writeHead(200, { 'x y': '1' });
    raw.end('x');
  },
  'a list of headers of odd length': ({ raw }) => {
    raw.writeHead(200, unknown(['X-Odd']));
    raw.end('x');
  },
  'a status of 1000 in the head': ({ raw }) => {
    raw.writeHead(1000);
    raw.end('x');
  },
  'a status of 99 in the head': ({ raw }) => {
    raw.writeHead(99);
    raw.end('x');
  },
  'a status that is no number in the head': ({ raw }) => {
    raw.writeHead(unknown('teapot'));
    raw.end('x');
  },
  'a status of 1000': ({ raw }) => {
    raw.statusCode = 1000;
    raw.end('x');
  },
  'a status that is not a number': ({ raw }) => {
    raw.statusCode = Number.NaN;
    raw.end('x');
  },
  'a status as text': ({ raw }) => {
    raw.statusCode = unknown('202');
    raw.end('x');
  },
  'a status with a fraction': ({ raw }) => {
    raw.statusCode = 202.9;
    raw.end('x');
  },
  'a status of 1000, set by the platform': ({ reply }) => {
    reply.status(1000);
    reply.send('x');
  },
  'a status of 1000 before a first piece': ({ raw }) => {
    raw.statusCode = 1000;
    raw.write('x');
    raw.end();
  },
  'a status of 1000 before headers are flushed': ({ raw }) => {
    raw.statusCode = 1000;
    raw.flushHeaders();
    raw.end('x');
  },
  'a trailer before an end at once': ({ raw }) => {
    raw.setHeader('Trailer', 'X-Sum');
    raw.end('x');
  },
  'a piece that is a number': ({ raw }) => {
    raw.write(unknown(123));
    raw.end();
  },
  'a piece that is null': ({ raw }) => {
    raw.write(null);
    raw.end();
  },
  'a piece that is nothing': ({ raw }) => {
    raw.write(undefined);
    raw.end();
  },
  'a piece that is an object': ({ raw }) => {
    raw.write({ a: 1 });
    raw.end();
  },
  'a piece that is a list': ({ raw }) => {
    raw.write([1, 2]);
    raw.end();
  },
  'a second piece that is a number': ({ raw }) => {
    raw.setHeader('Content-Length', 4);
    raw.write('x');
    raw.write(unknown(123));
    raw.end();
  },
  'an end with a number': ({ raw }) => {
    raw.end(123);
  },
  'an end with an object': ({ raw }) => {
    raw.end({ a: 1 });
  },
  'an end with false': ({ raw }) => {
    raw.end(false);
  },
  'an end with zero': ({ raw }) => {
    raw.end(0);
  },
  'an end with null': ({ raw }) => {
    raw.end(null);
  },
  'a second head': ({ raw }) => {
    raw.writeHead(200, { 'X-First': '1' });
    raw.writeHead(500);
    raw.end('x');
  },
  'a head after a first piece': ({ raw }) => {
    raw.setHeader('Content-Length', 2);
    raw.write('x');
    raw.writeHead(201);
    raw.end('y');
  },
  'a header after the head': ({ raw }) => {
    raw.writeHead(200);
    raw.setHeader('X-Late', '1');
    raw.end('x');
  },
  'a header after a first piece': ({ raw }) => {
    raw.setHeader('Content-Length', 2);
    raw.write('x');
    raw.setHeader('X-Late', '1');
    raw.end('y');
  },
  'another value of a header after a first piece': ({ raw }) => {
    raw.setHeader('Content-Length', 2);
    raw.write('x');
    raw.appendHeader('X-Late', '1');
    raw.end('y');
  },
  'a header taken back after a first piece': ({ raw }) => {
    raw.setHeader('Content-Length', 2);
    raw.write('x');
    raw.removeHeader('Content-Length');
    raw.end('y');
  },
  'a header after flushed headers': ({ raw }) => {
    raw.setHeader('Content-Length', 1);
    raw.flushHeaders();
    raw.setHeader('X-Late', '1');
    raw.end('x');
  },
  'a header after the end': ({ raw }) => {
    raw.end('x');
    raw.setHeader('X-Late', '1');
  },
  'several headers at once after the end': ({ raw }) => {
    raw.end('x');
    raw.setHeaders(new Map([['X-Late', '1']]));
  },
  'a trailer with a letter outside Latin-1': ({ raw }) => {
    raw.setHeader('Trailer', 'X-Sum');
    raw.write('x');
    raw.addTrailers({ 'X-Sum': 'сумма' });
    raw.end();
  },
};

/** What Node refuses stays on the response, so that it refuses what answers in its place as well. */
export const STAYING: typeof ANSWERING = {
  'a status message with a line break': ({ raw }) => {
    raw.statusMessage = 'all\r\nright';
    raw.end('x');
  },
  'a status message with a letter outside Latin-1': ({ raw }) => {
    raw.statusMessage = 'принято';
    raw.end('x');
  },
  'a status message with a line break before a first piece': ({ raw }) => {
    raw.statusMessage = 'all\nright';
    raw.write('x');
    raw.end();
  },
  'a status message with a line break in the head': ({ raw }) => {
    raw.writeHead(200, 'all\nright');
    raw.end('x');
  },
  'a status message with a letter outside Latin-1 beside headers in the head': ({ raw }) => {
    raw.writeHead(200, 'принято', { 'X-First': '1' });
    raw.end('x');
  },
  'a trailer together with a length': ({ raw }) => {
    raw.setHeader('Trailer', 'X-Sum');
    raw.setHeader('Content-Length', 1);
    raw.end('x');
  },
  'a trailer together with a length that the head has': ({ raw }) => {
    raw.writeHead(200, { Trailer: 'X-Sum', 'Content-Length': 1 });
    raw.end('x');
  },
  'a trailer together with a length before a first piece': ({ raw }) => {
    raw.setHeader('Trailer', 'X-Sum');
    raw.setHeader('Content-Length', 2);
    raw.write('x');
    raw.end('y');
  },
  'a trailer without a body': ({ raw }) => {
    raw.statusCode = 204;
    raw.setHeader('Trailer', 'X-Sum');
    raw.end();
  },
  'a trailer set by the platform': ({ reply }) => {
    reply.header('Trailer', 'X-Sum');
    reply.send('x');
  },
};

/** Handlers that go on after the end, of which Node would tell the whole process. */
export const GOING_ON: typeof ANSWERING = {
  'a piece after the end': ({ raw }) => {
    raw.end('x');
    raw.write('y', () => undefined);
  },
  'an end after the end': ({ raw }) => {
    raw.end('x');
    raw.end();
  },
  'an end with more after the end': ({ raw }) => {
    raw.end('x');
    raw.end('y', () => undefined);
  },
};
