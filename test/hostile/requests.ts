import type { Random } from '../support/random.js';
import { keyLines, noise, otherLines, someContent, toldContent } from './fields.js';

/** Bytes that a client sends, and what it does then. */
export interface HostileRequest {
  readonly bytes: Buffer;
  /** The server knows where it ends, so it has to answer or to hang up. */
  readonly isWhole: boolean;
  /** Breaks the connection off after so many bytes. */
  readonly leavesAfter: number | undefined;
  /** So long it waits before it leaves. */
  readonly staysMs: number;
  /** Its handler answers with whatever status the request names. */
  readonly mayFail: boolean;
}

const METHODS = [
  'PUT',
  'PATCH',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'QUERY',
  'BREW',
  'post',
];

const ROUTES = ['/pay', '/by-number', '/signed', '/goods/1', '/optional', '/held', '/late'];
/** These answer with what they are told. */
const OBEDIENT = ['/file', '/throw'];
const ODD_PATHS = [
  '/',
  '//',
  '*',
  '/pay?a=1&a=2&a[b]=3',
  '/pay?' + 'a&'.repeat(2_000),
  '/pay#x',
  '/pay/',
  '/PAY',
  '/goods/%00',
  '/goods/%',
  '/goods/%zz',
  '/goods/%E0%A4%A',
  '/goods/..%2f..%2f',
  '/goods/' + 'x'.repeat(3_000),
  '/goods/\xe9',
  'http://example.com/pay',
  'pay',
  '',
];
const VERSIONS = ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9.9', 'HTP/1.1', 'HTTP/1.1 '];

/** A request that something may be wrong with, or many things. */
export function someRequest(random: Random): HostileRequest {
  const method = random.isBelow(0.8) ? 'POST' : random.oneOf(METHODS);
  const isObedient = random.isBelow(0.08);
  const path = isObedient
    ? random.oneOf(OBEDIENT)
    : random.isBelow(0.85)
      ? random.oneOf(ROUTES)
      : random.oneOf(ODD_PATHS);
  const version = random.isBelow(0.96) ? 'HTTP/1.1' : random.oneOf(VERSIONS);
  const { lines, bytes: content } =
    isObedient && random.isBelow(0.7) ? toldContent(random) : someContent(random);
  const framed = frame(random, content);
  const head = [
    `${method} ${path} ${version}`,
    ...(random.isBelow(0.97) ? ['Host: test'] : []),
    ...(random.isBelow(0.5) ? ['Connection: close'] : []),
    ...keyLines(random),
    ...lines,
    ...otherLines(random),
    ...(random.isBelow(0.02) ? [noise(random, random.between(1, 60))] : []),
    ...framed.lines,
    '',
    '',
  ].join('\r\n');
  const once = Buffer.concat([Buffer.from(head, 'latin1'), framed.bytes]);
  // Pipelined: the same request again, before the first is answered.
  const bytes = framed.isWhole && random.isBelow(0.05) ? Buffer.concat([once, once]) : once;
  const leaves = random.isBelow(0.25);
  return {
    bytes,
    isWhole: framed.isWhole && !leaves && !head.includes('\r\nExpect: 100-continue'),
    leavesAfter: leaves ? random.between(1, bytes.length + 1) : undefined,
    staysMs: random.isBelow(0.5) ? 0 : random.between(0, 30),
    mayFail: isObedient,
  };
}

interface Framed {
  readonly lines: string[];
  readonly bytes: Buffer;
  readonly isWhole: boolean;
}

/** Says how long the content is; not always the truth. */
function frame(random: Random, content: Buffer): Framed {
  const length = (text: string | number): string => `Content-Length: ${text}`;
  const chunk = (size: string, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${size}\r\n`), bytes, Buffer.from('\r\n')]);
  const chunked = 'Transfer-Encoding: chunked';
  const last = Buffer.from('0\r\n\r\n');
  const size = content.length.toString(16);
  const whole = (lines: string[], bytes: Buffer): Framed => ({ lines, bytes, isWhole: true });
  const part = (lines: string[], bytes: Buffer): Framed => ({ lines, bytes, isWhole: false });
  const drawn = random.next();
  if (drawn < 0.75) return whole([length(content.length)], content);
  if (content.length === 0) return whole([chunked], last);
  if (drawn < 0.83) return whole([chunked], Buffer.concat([chunk(size, content), last]));
  switch (random.between(0, 11)) {
    case 0:
      return part([length(content.length + 10)], content);
    case 1:
      return whole([length(Math.floor(content.length / 2))], content);
    case 2:
      return whole([length(-1)], content);
    case 3:
      return whole([length('1e1')], content);
    case 4:
      return whole([length(content.length), length(content.length + 1)], content);
    case 5:
      return whole([length(content.length), chunked], Buffer.concat([chunk(size, content), last]));
    case 6:
      return part([chunked], Buffer.concat([chunk('nonsense', content), last]));
    case 7:
      return part([chunked], chunk((content.length + 5).toString(16), content));
    case 8:
      return part([chunked], chunk(size, content));
    case 9:
      return whole(
        [chunked],
        Buffer.concat([
          chunk(`${size};a="b"`, content),
          Buffer.from('0\r\nIdempotency-Key: t\r\n\r\n'),
        ]),
      );
    default:
      return part(['Transfer-Encoding: gzip, chunked, chunked'], content);
  }
}
