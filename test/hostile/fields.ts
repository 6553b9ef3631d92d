import { deflateRawSync, gzipSync, brotliCompressSync } from 'node:zlib';
import type { Random } from '../support/random.js';

/** Keys as nobody should send them, and some as they should be. Latin-1: each letter is a byte. */
const KEYS: readonly string[] = [
  '',
  ' ',
  '\t',
  '"',
  '""',
  '"k',
  'k"',
  '"k"',
  '"k";a=1',
  '"k", "l"',
  '"a\\"b"',
  '"a\\b"',
  '?1',
  ':aGFsbG8=:',
  'sp ace',
  'k,l',
  'a/b',
  '../../etc/passwd',
  '%00',
  '{"$gt":""}',
  "'; DROP TABLE idempotency_records; --",
  '__proto__',
  'constructor',
  'null',
  'undefined',
  'é',
  '\x80\xff',
  '\x7f',
  'k\x00l',
  'k\x01l',
  'k\vl',
  'k'.repeat(254),
  'k'.repeat(255),
  'k'.repeat(256),
  'k'.repeat(5_000),
  '"' + 'k'.repeat(300) + '"',
  'K',
  'k'.normalize('NFD'),
];

const CONTENT_TYPES: readonly (string | undefined)[] = [
  undefined,
  '',
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=utf-16',
  'application/json; charset=utf-7',
  'application/json; charset=',
  'application/json; charset="',
  'application/json;;;',
  'APPLICATION/JSON',
  'application/problem+json',
  'application/x-www-form-urlencoded',
  'application/x-www-form-urlencoded; charset=koi8-r',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=x',
  'text/plain',
  'application/xml',
  'application/octet-stream',
  'not a type',
  'a/b/c',
  '*/*',
  'é/é',
  'application/json, text/plain',
];

const ENCODINGS: readonly string[] = [
  'gzip',
  'deflate',
  'br',
  'zstd',
  'identity',
  'gzip, gzip',
  'x',
  '',
];

const OTHERS: readonly string[] = [
  'Accept-Encoding: *;q=0',
  'Accept-Encoding: gzip;q=nonsense, br, zstd',
  'Accept-Encoding: ' + 'gzip,'.repeat(500),
  'Accept: nothing/at-all',
  'Authorization: Bearer \xff\xfe',
  'Authorization: ',
  'Authorization: Basic ====',
  'Cookie: ' + 'a=b; '.repeat(300),
  'Cookie: =; ;;=',
  'If-Match: "',
  'If-Match: W/"1", *',
  'Range: bytes=-1-,9-',
  'Expect: 100-continue',
  'Expect: the unexpected',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Connection: idempotency-key',
  'Idempotent-Replayed: true',
  'X-Forwarded-For: ' + '1,'.repeat(200),
  'X-HTTP-Method-Override: DELETE',
  'Trailer: Idempotency-Key',
  'Via: 1.1 x',
  'Date: yesterday',
  'X: ' + 'y'.repeat(9_000),
];

/** Lines of the key: none, one, or two. */
export function keyLines(random: Random): string[] {
  const drawn = random.next();
  if (drawn < 0.1) return [];
  const one = (): string => `Idempotency-Key: ${someKey(random)}`;
  return drawn < 0.17 ? [one(), one()] : [one()];
}

function someKey(random: Random): string {
  if (random.isBelow(0.2)) return `key-${random.between(0, 40)}`;
  if (random.isBelow(0.4)) return `key-${random.between(0, 1_000_000)}`;
  if (random.isBelow(0.2)) return noise(random, random.between(1, 40));
  return random.oneOf(KEYS);
}

export function otherLines(random: Random): string[] {
  return Array.from({ length: random.between(0, 4) }, () => random.oneOf(OTHERS));
}

/** What a body says it is, and its bytes, which may be something else. */
export function someContent(random: Random): { lines: string[]; bytes: Buffer } {
  const bytes = someBytes(random);
  const type = random.isBelow(0.5) ? 'application/json' : random.oneOf(CONTENT_TYPES);
  const lines = type === undefined ? [] : [`Content-Type: ${type}`];
  if (random.isBelow(0.03)) lines.push('Content-Type: application/json');
  if (!random.isBelow(0.15)) return { lines, bytes };
  const encoding = random.oneOf(ENCODINGS);
  lines.push(`Content-Encoding: ${encoding}`);
  return { lines, bytes: random.isBelow(0.5) ? bytes : packed(encoding, bytes) };
}

function packed(encoding: string, bytes: Buffer): Buffer {
  switch (encoding) {
    case 'gzip':
      return gzipSync(bytes);
    case 'gzip, gzip':
      return gzipSync(gzipSync(bytes));
    case 'deflate':
      return deflateRawSync(bytes);
    case 'br':
      return brotliCompressSync(bytes);
    default:
      return bytes;
  }
}

/** Inflates to fifty times of what is accepted. */
const BOMB = gzipSync(Buffer.alloc(5_000_000, ' '));

const TEXTS: readonly string[] = [
  '',
  ' ',
  '{',
  '{}',
  '[]',
  'null',
  'true',
  '0',
  '"text"',
  '{"amount":1}',
  '{"amount":1}}',
  '{"amount":1e999}',
  '{"amount":-0}',
  '{"amount":12345678901234567890}',
  '{"amount":1,"amount":2}',
  '{"amount":"\\ud800"}',
  '{"amount":"\\u0000"}',
  '{"__proto__":{"amount":1}}',
  '{"constructor":{"prototype":{"amount":1}}}',
  '{"toJSON":1,"toString":2,"then":3,"valueOf":4}',
  '{"then":{}}',
  '{"length":4294967295}',
  '{"orderNo":{"a":1}}',
  '{"orderNo":[]}',
  '{"orderNo":""}',
  '{"orderNo":"o1"}',
  '{"orderNo":"o1","orderNo":"o2"}',
  '{"name":"накладная.pdf"}',
  '{"name":"a\\r\\nX: y"}',
  '{"status":1000}',
  '{"status":99}',
  '{"status":"200"}',
  '{"status":422}',
  '{"status":503}',
  'amount=1&amount=2&amount[a]=3',
  'a[b][c][d][e]=1',
  '%',
  '--x\r\nContent-Disposition: form-data; name="amount"\r\n\r\n1\r\n--x--\r\n',
  '--x\r\nContent-Disposition: form-data; name="__proto__"',
  '\ufeff{"amount":1}',
  '['.repeat(3_000),
  '['.repeat(2_000) + ']'.repeat(2_000),
  '{"a":'.repeat(1_000) + '1' + '}'.repeat(1_000),
];

function someBytes(random: Random): Buffer {
  const drawn = random.next();
  if (drawn < 0.3) return Buffer.from(`{"amount":${random.between(1, 4)}}`);
  if (drawn < 0.36) return Buffer.from(noise(random, random.between(0, 300)), 'latin1');
  if (drawn < 0.365) return Buffer.from(`{"amount":"${'x'.repeat(200_000)}"}`);
  if (drawn < 0.37) return BOMB;
  return Buffer.from(random.oneOf(TEXTS));
}

const TOLD: readonly string[] = [
  '{"name":"накладная.pdf"}',
  '{"name":"a\\r\\nX: y"}',
  '{"name":"\\u0000"}',
  '{"name":"a.pdf"}',
  '{"status":1000}',
  '{"status":99}',
  '{"status":0}',
  '{"status":-1}',
  '{"status":200.5}',
  '{"status":"200"}',
  '{"status":null}',
  '{"status":204}',
  '{"status":304}',
  '{"status":422}',
  '{"status":503}',
];

/** For handlers that answer with what they are told. */
export function toldContent(random: Random): { lines: string[]; bytes: Buffer } {
  return { lines: ['Content-Type: application/json'], bytes: Buffer.from(random.oneOf(TOLD)) };
}

/** Any bytes but those that end a line. */
export function noise(random: Random, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(random.between(0, 256)))
    .join('')
    .replaceAll(/[\r\n]/g, '.');
}
