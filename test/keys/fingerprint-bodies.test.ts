import { Readable } from 'node:stream';
import type { IncomingRequest } from '../../src/keys/call.js';
import { FingerprintUnavailableError, requestFingerprint } from '../../src/keys/fingerprint.js';
import { isFingerprintUnavailableError } from '../../src/keys/request-body.js';
import { callOf } from './call.js';

function fingerprint(request: Partial<IncomingRequest>): string {
  return requestFingerprint(callOf(request));
}

function sent(type: string | undefined, length = '500'): IncomingRequest['headers'] {
  return { 'content-type': type, 'content-length': length };
}

const FORM = sent('multipart/form-data; boundary=x');

function file(bytes: string, rest: object = {}): object {
  return {
    fieldname: 'photo',
    originalname: 'a.png',
    mimetype: 'image/png',
    encoding: '7bit',
    size: bytes.length,
    buffer: Buffer.from(bytes),
    ...rest,
  };
}

describe('a body that nobody has parsed', () => {
  it.each([
    ['with a length', { headers: sent('text/xml') }],
    ['in chunks', { headers: { 'transfer-encoding': 'chunked' } }],
    ['without a type', { headers: sent(undefined) }],
    ['with a length that is no number', { headers: sent('text/xml', 'x') }],
    ['over HTTP/2', { headers: { 'content-type': 'text/xml' }, httpVersionMajor: 2 }],
    [
      'over HTTP/2 with Fastify',
      { headers: { 'content-type': 'text/xml' }, raw: { httpVersionMajor: 2 } },
    ],
    ['left as {}', { headers: sent('text/xml'), body: {} }],
    [
      'left as an object without prototype',
      { headers: sent('text/xml'), body: Object.create(null) as unknown },
    ],
    ['left as null', { headers: sent('text/xml'), body: null }],
    ['left as a stream', { headers: sent('text/xml'), body: Readable.from(['a']) }],
    ['left as a web stream', { headers: sent('text/xml'), body: new Blob(['a']).stream() }],
  ])('is never ignored: %s', (_, request) => {
    expect(() => fingerprint(request)).toThrow(FingerprintUnavailableError);
  });

  it('is compared by its bytes where they were kept', () => {
    const of = (bytes: string) =>
      fingerprint({ headers: sent('text/xml'), rawBody: Buffer.from(bytes) });
    expect(of('<a/>')).not.toBe(of('<b/>'));
    expect(of('<a/>')).toBe(of('<a/>'));
    const left = { headers: sent('text/xml'), body: {}, rawBody: Buffer.from('<a/>') };
    expect(fingerprint(left)).toBe(of('<a/>'));
  });

  it('names what, why, what is accepted and the remedy', () => {
    expect(() => fingerprint({ headers: sent('text/xml') })).toThrow(
      "The request body cannot be compared with a retry: no parser has read it. Accepted: a body that was parsed or kept before the operation is claimed. Register a parser for its content type: app.useBodyParser('raw', { type: 'text/xml' }) on Express, app.useBodyParser('text/xml') on Fastify. Or set fingerprint to a function of the call, or to false if a retry cannot differ.",
    );
  });

  it('is told by a brand that both copies of the package know', () => {
    let thrown: unknown;
    try {
      fingerprint({ headers: sent('text/xml') });
    } catch (error) {
      thrown = error;
    }
    expect(isFingerprintUnavailableError(thrown)).toBe(true);
    expect(isFingerprintUnavailableError(new Error('a'))).toBe(false);
  });
});

describe('a request without content', () => {
  it.each([
    ['no header about it', {}],
    ['a length of zero', { headers: sent('text/xml', '0') }],
    ['a type alone', { headers: { 'content-type': 'text/xml' }, httpVersionMajor: 1 }],
    ['an empty form', { headers: sent('application/x-www-form-urlencoded', '0'), body: {} }],
    ['a multipart type alone', { headers: sent('multipart/form-data; boundary=x', '0') }],
    ['a length of zero over HTTP/2', { headers: sent('text/xml', '0'), httpVersionMajor: 2 }],
  ])('has a fingerprint: %s', (_, request) => {
    expect(fingerprint(request)).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
  });
});

describe('a parsed body that is empty', () => {
  it.each([
    'application/json',
    'Application/JSON; charset=utf-8',
    'application/merge-patch+json',
    'application/x-www-form-urlencoded',
  ])('is content of type %s', (type) => {
    expect(fingerprint({ headers: sent(type, '2'), body: {} })).toBe(fingerprint({ body: {} }));
  });

  it('may be null, no bytes or an empty list', () => {
    expect(fingerprint({ headers: sent('application/json', '4'), body: null })).toBeDefined();
    expect(fingerprint({ headers: sent('text/xml', '4'), body: Buffer.alloc(0) })).toBeDefined();
    expect(fingerprint({ headers: sent('application/cbor', '4'), body: [] })).toBeDefined();
  });
});

describe('a multipart body', () => {
  const fields = { title: 'a' };

  it.each([
    ['the bytes of a file', { file: file('A') }, { file: file('B') }],
    ['the bytes of a file in a list', { files: [file('A')] }, { files: [file('B')] }],
    [
      'the bytes of a file by field',
      { files: { photo: [file('A')] } },
      { files: { photo: [file('B')] } },
    ],
    ['the name of a file', { file: file('A') }, { file: file('A', { originalname: 'b.png' }) }],
    ['the type of a file', { file: file('A') }, { file: file('A', { mimetype: 'a/b' }) }],
    ['the field of a file', { file: file('A') }, { file: file('A', { fieldname: 'b' }) }],
    ['the number of files', { files: [file('A')] }, { files: [file('A'), file('A')] }],
    ['a second file', { files: [file('A'), file('A')] }, { files: [file('A'), file('B')] }],
    ['a file beside a list', { file: file('A'), files: [] }, { file: file('B'), files: [] }],
    ['a file and none', { file: file('A') }, { files: [] }],
    [
      'the bytes of a file, its type in capitals',
      { headers: sent('Multipart/Form-Data'), file: file('A') },
      { headers: sent('Multipart/Form-Data'), file: file('B') },
    ],
    ['the fields', { body: { title: 'b' } }, {}],
    ['fields that are bytes', { body: { f: Buffer.from('A') } }, { body: { f: Buffer.from('B') } }],
  ])('is compared by %s', (_, one, other) => {
    const of = (request: object) => fingerprint({ headers: FORM, body: fields, ...request });
    expect(of(one)).not.toBe(of(other));
    expect(of(one)).toBe(of(structuredClone(one)));
  });

  it('is the same with another boundary and fields in another order', () => {
    const of = (boundary: string, body: object) =>
      fingerprint({
        headers: sent(`multipart/form-data; boundary=${boundary}`),
        body,
        file: file('A'),
      });
    expect(of('x', { a: '1', b: '2' })).toBe(of('y', { b: '2', a: '1' }));
  });

  it.each([
    ['without a body', {}],
    ['with {} that a parser left behind', { body: {} }],
    ['with null', { body: null }],
    ['of which only the list of files is there', { body: {}, files: [] }],
    ['with the methods that Fastify has instead of files', { file: () => 1, files: () => 1 }],
    ['in a type in capitals', { headers: sent('Multipart/Form-Data; boundary=x') }],
  ])('is refused unparsed: %s', (_, request) => {
    expect(() => fingerprint({ headers: FORM, ...request })).toThrow(FingerprintUnavailableError);
  });

  it.each([
    ['on disk', file('A', { buffer: undefined, path: '/tmp/a' })],
    ['elsewhere', file('A', { buffer: undefined, location: 'https://a' })],
    ['as a stream', file('A', { buffer: Readable.from(['a']) })],
    ['as nothing', null],
  ])('is refused with a file that is %s', (_, stored) => {
    for (const request of [
      { file: stored ?? {} },
      { files: [stored] },
      { files: { a: [stored] } },
    ]) {
      expect(() => fingerprint({ headers: FORM, body: fields, ...request })).toThrow(
        'the bytes of a file are not in memory',
      );
    }
  });

  it('is refused in parts that nobody has read, with the remedy', () => {
    const part = { type: 'file', fieldname: 'photo', fields: {}, filename: 'a.png' };
    for (const body of [{ photo: part }, { photo: [part] }]) {
      expect(() => fingerprint({ headers: FORM, body })).toThrow(
        "Register @fastify/multipart with attachFieldsToBody: 'keyValues'.",
      );
    }
  });

  it('is taken parsed when it is an empty form', () => {
    const body = Object.create(null) as unknown;
    expect(fingerprint({ headers: FORM, body })).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{32}$/);
  });

  it('is compared by its bytes where they were kept', () => {
    const of = (request: Partial<IncomingRequest>) => fingerprint({ headers: FORM, ...request });
    expect(of({ rawBody: Buffer.from('A') })).not.toBe(of({ rawBody: Buffer.from('B') }));
    expect(of({ body: Buffer.from('A') })).not.toBe(of({ body: Buffer.from('B') }));
    expect(of({ body: 'A' })).not.toBe(of({ body: 'B' }));
  });
});
