import { Decimal } from 'decimal.js';
import { replyType } from 'nestjs-idempotency';
import { serialize } from 'node:v8';
import { decodeReply, encodeValueReply, UnreadableReplyError } from '../../src/replies/codec.js';
import { KnownTypes, named } from '../../src/replies/known-types.js';
import { decodeValue, encodeValue } from '../../src/replies/values.js';

const types = new KnownTypes();
types.add(
  named(
    replyType({
      name: 'decimal',
      class: Decimal,
      toData: String,
      fromData: (text) => new Decimal(text),
    }),
  ),
);
const aware = { types };
const unaware = { types: new KnownTypes() };

/** A record as only someone who can write to the store makes it. */
const marked = (value: unknown, ...marks: unknown[]): Uint8Array =>
  Buffer.concat([Buffer.from([1, 6, 3]), serialize([value, marks])]);

describe('a record of a value', () => {
  it('is unreadable where its types are not known, and says which', () => {
    const bytes = encodeValueReply({ total: new Decimal(1) }, aware);
    expect(decodeReply(bytes, aware)).toEqual({ kind: 'value', value: { total: new Decimal(1) } });
    expect(() => decodeReply(bytes, unaware)).toThrow(
      /"decimal", which is not known here. Register it under this name in `types` or `returns`/,
    );
    expect(decodeReply(bytes, { ...unaware, isLenient: true })).toEqual({
      kind: 'value',
      value: { total: '1' },
    });
  });

  it.each([
    ['no mark', [{}, 'anything']],
    ['a class that nobody named', [{}, 'class', 'Function']],
    ['an error of a class that nobody named', [{ members: {}, hidden: [] }, 'error', 'Buffer']],
    ['a scalar without a schema', [{ data: 1 }, 'leaf', 'Int']],
    ['data that a type refuses', [{ data: 'x' }, 'type', 'decimal']],
    ['an address that is none', [{ data: 'x' }, 'url']],
  ])('makes nothing of %s', (_, mark) => {
    expect(() => decodeReply(marked(mark[0], mark), aware)).toThrow(UnreadableReplyError);
  });

  it('makes nothing of a stand-in that contains itself', () => {
    const standIn: { data?: unknown } = {};
    standIn.data = standIn;
    expect(() => decodeReply(marked(standIn, [standIn, 'url']), aware)).toThrow(
      UnreadableReplyError,
    );
  });

  it('changes no prototype of the program', () => {
    const evil = JSON.parse('{"__proto__":{"isAdmin":true},"a":{"__proto__":null}}') as object;
    for (const value of [evil, [evil, new Decimal(1)], new Map([['__proto__', evil]])]) {
      const read = decodeValue(encodeValue(value, aware), aware);
      expect(read).toEqual(value);
      expect(({} as { isAdmin?: unknown }).isAdmin).toBeUndefined();
    }
    const [read] = decodeValue(encodeValue([evil, new Decimal(1)], aware), aware) as [object];
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(Object.hasOwn(read, '__proto__')).toBe(true);
  });

  it.each([
    ['of an older format', Buffer.concat([Buffer.from([1, 2]), serialize({ a: 1 })])],
    ['of a newer format', Buffer.from([2, 6, 1, 123, 125])],
    ['of no form', Buffer.from([1, 6, 9])],
    ['without anything', Buffer.from([1, 6])],
    ['that are cut off', encodeValueReply({ a: [1n, 2n] }, aware).subarray(0, 12)],
  ])('is unreadable, not an accident, for bytes %s', (_, bytes) => {
    expect(() => decodeReply(bytes, aware)).toThrow(UnreadableReplyError);
  });

  it.each([
    ['a DataView', new DataView(new Uint8Array([1, 2, 3]).buffer, 1)],
    ['an array of bytes', new Uint8Array([1, 2, 3])],
    ['an array of larger numbers', new Float64Array([1.5])],
    ['a Buffer', Buffer.from('abc')],
  ])('has bytes of its own: %s', (_, view) => {
    for (const keeping of [aware, unaware]) {
      const bytes = encodeValue([1n, view, keeping === aware && new Decimal(1)], keeping);
      const before = Buffer.from(bytes);
      const [, read] = decodeValue(bytes, keeping) as [bigint, typeof view];
      expect(read).toEqual(view);
      expect(read.buffer.byteLength).toBe(view.byteLength);
      new Uint8Array(read.buffer).fill(0);
      expect(bytes).toEqual(before);
    }
  });

  it('is JSON text where JSON has all of the value', () => {
    const bytes = Buffer.from(encodeValueReply({ id: 1, lines: ['a'] }, aware));
    expect(bytes.subarray(3).toString()).toBe('{"id":1,"lines":["a"]}');
  });
});
