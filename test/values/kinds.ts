import { HttpException, NotFoundException } from '@nestjs/common';
import { Big } from 'big.js';
import { BigNumber } from 'bignumber.js';
import { ObjectId } from 'bson';
import { Exclude, Expose, Transform, Type as TypeOf } from 'class-transformer';
import dayjs from 'dayjs';
import { Decimal } from 'decimal.js';
import { DateTime } from 'luxon';
import moment from 'moment';
import { replyType } from 'nestjs-idempotency';
import type { ReplyType, ReturnedClass } from 'nestjs-idempotency/contracts';

/** What the first caller must never find in a record or a replay without having seen it. */
export const SECRET = 'hash-of-a-password';

/** What a retry gets, in terms of what the first caller got. */
export type Outcome =
  /** An equal value, of the same classes. */
  | 'equal'
  /** A plain object with the same properties. */
  | 'data'
  /** A refusal that says that the reply was not kept, with one warning that has this text. */
  | { readonly notKept: string };

export interface Kind {
  readonly name: string;
  readonly make: () => unknown;
  /** Of a method and of `run()`. */
  readonly outcome: Outcome;
  readonly returns?: ReturnedClass | readonly ReturnedClass[];
  /** Over messages, where it is not: JSON has no form of it. */
  readonly hasNoJson?: true;
  /** It is not shown to JSON's receivers, because a serializer further out may hide part of it. */
  readonly isHidden?: true;
}

export class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}

  length(): number {
    return Math.hypot(this.x, this.y);
  }
}

class Money {
  constructor(private readonly cents: number) {}

  toJSON(): string {
    return `${this.cents} cents`;
  }
}

class Circle {
  radius = 2;

  get area(): number {
    return this.radius ** 2 * Math.PI;
  }
}

class Account {
  #balance = 3;
  readonly owner = 'alice';

  get balance(): number {
    return this.#balance;
  }
}

class Sealed {
  #secret = SECRET;
  readonly owner = 'alice';

  check(text: string): boolean {
    return text === this.#secret;
  }
}

const secrets = new WeakMap<object, string>();

class Hidden {
  readonly owner = 'alice';

  constructor() {
    secrets.set(this, SECRET);
  }
}

class User {
  id = 7;

  @Exclude()
  password = SECRET;
}

class Renamed {
  @Expose({ name: 'no' })
  number = 'A-1';
}

class Masked {
  @Transform(({ value }) => `…${String(value).slice(-4)}`, { toPlainOnly: true })
  card = `${SECRET}-4242`;
}

class Line {
  sku = 'A';
}

class Basket {
  @TypeOf(() => Line)
  lines = [new Line(), new Line()];

  @TypeOf(() => Date)
  at = new Date(5);
}

class Priced {
  @Expose({ name: 'sum' })
  total = new Decimal('1.10');
}

class Numbers implements Iterable<number> {
  *[Symbol.iterator](): Iterator<number> {
    yield 1;
  }
}

class Shape {
  kind = 'shape';
}
class Square extends Shape {
  side = 2;
}

class Tags extends Map<string, number> {}
class List extends Array<number> {}

class InsufficientFunds extends Error {
  override readonly name = 'InsufficientFunds';
  constructor(readonly left: number) {
    super('no money');
  }
}

/** As TypeORM makes them: a relation that is loaded when it is read. */
function lazyEntity(): object {
  const entity = new Point(1, 2);
  return Object.defineProperty(entity, 'owner', {
    get: () => Promise.reject(new Error('A relation was loaded.')),
    configurable: true,
    enumerable: false,
  });
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cyclic(): object {
  const parent = { name: 'parent', children: [] as object[] };
  parent.children.push({ name: 'child', parent });
  return parent;
}

function withOwn<T extends object>(target: T, key: PropertyKey, given: PropertyDescriptor): T {
  return Object.defineProperty(target, key, given);
}

const same = (name: string, make: () => unknown, more?: Partial<Kind>): Kind => ({
  name,
  make,
  outcome: 'equal',
  ...more,
});
const data = (name: string, make: () => unknown, more?: Partial<Kind>): Kind => ({
  name,
  make,
  outcome: 'data',
  ...more,
});
export const lost = (
  name: string,
  make: () => unknown,
  notKept: string,
  more?: Partial<Kind>,
): Kind => ({
  name,
  make,
  outcome: { notKept },
  ...more,
});

/** The types that the documentation shows; registered in one of two applications. */
export const TYPES: readonly ReplyType[] = [
  replyType({
    name: 'decimal',
    class: Decimal,
    toData: String,
    fromData: (text) => new Decimal(text),
  }),
  replyType({
    name: 'object-id',
    class: ObjectId,
    toData: (id) => id.toHexString(),
    fromData: (hex) => new ObjectId(hex),
  }),
  replyType({
    name: 'luxon',
    class: DateTime,
    toData: (at) => [at.toMillis(), at.zoneName],
    fromData: ([ms, zone]) => DateTime.fromMillis(Number(ms), { zone: String(zone) }),
  }),
  replyType({ name: 'dayjs', class: dayjs, toData: Number, fromData: (ms) => dayjs(ms) as object }),
  replyType({
    name: 'moment',
    class: moment,
    toData: Number,
    fromData: (ms) => moment(ms) as object,
  }),
  replyType({
    name: 'big',
    class: Big,
    toData: String,
    fromData: (text) => new Big(text) as object,
  }),
  replyType({
    name: 'bignumber',
    class: BigNumber,
    toData: String,
    fromData: (text) => new BigNumber(text),
  }),
];

/** Instances of classes that the documentation shows how to register. */
export const LIBRARIES: readonly (readonly [name: string, make: () => unknown])[] = [
  ['decimal.js', () => new Decimal('12345678901234567890.123456789')],
  ['ObjectId of bson', () => new ObjectId('65f0c0ffee0000000000abcd')],
  ['DateTime of Luxon', () => DateTime.fromMillis(1e12, { zone: 'Europe/Berlin' })],
  ['dayjs', () => dayjs(1e12)],
  ['moment', () => moment(1e12)],
  ['big.js', () => new Big('0.1')],
  ['bignumber.js', () => new BigNumber('1e-30')],
];

/** Kinds of values that a program may return. */
export const KINDS: readonly Kind[] = [
  same('undefined', () => undefined),
  same('null', () => null),
  same('text with half a surrogate pair', () => 'a\ud800\u0000b'),
  same('plain data', () => ({ id: 1, lines: [{ sku: 'A', tags: ['x'] }], note: null })),
  same('undefined members', () => ({ a: undefined, b: [undefined] })),
  same('NaN, -0 and Infinity', () => [NaN, -0, Infinity, -Infinity]),
  same('bigint', () => ({ n: 2n ** 70n }), { hasNoJson: true }),
  same('Date', () => [new Date(5), new Date(-1)]),
  same(
    'Map',
    () =>
      new Map<unknown, unknown>([
        [{ a: 1 }, new Date(1)],
        ['b', new Map()],
      ]),
  ),
  same('Set', () => new Set<unknown>([1, [2], undefined])),
  same('Buffer', () => ({ file: Buffer.from([0, 255, 1]) })),
  same('typed arrays', () => [new Uint8Array([1]), new Float64Array([-0, NaN])]),
  same('bytes of bigints', () => new BigInt64Array([1n]), { hasNoJson: true }),
  same('ArrayBuffer', () => new Uint8Array([1, 2]).buffer),
  same('DataView', () => new DataView(new Uint8Array([1, 2, 3]).buffer, 1)),
  same('RegExp', () => /a+/giu),
  same('RegExp in the middle of a text', () => Object.assign(/a/g, { lastIndex: 2 })),
  same('boxed primitives', () => [Object(1), Object('ab'), Object(false), Object(2n)], {
    hasNoJson: true,
  }),
  same('boxed symbol', () => Object(Symbol.for('a'))),
  same('URL', () => ({ next: new URL('https://a.example/b?c=d#e') })),
  same('URLSearchParams', () => new URLSearchParams('a=1&a=2')),
  same('Error', () =>
    Object.assign(new TypeError('no', { cause: new Error('why') }), { code: 'E' }),
  ),
  same('AggregateError', () => new AggregateError([new RangeError('a'), 'b'], 'both')),
  same('DOMException', () => new DOMException('too late', 'TimeoutError')),
  same('exception of Nest', () => new NotFoundException('no order', { description: 'Gone' })),
  same('object without a prototype', () => Object.assign(Object.create(null), { a: { b: 1 } })),
  same(
    'member named __proto__',
    () => JSON.parse('{"__proto__":{"isAdmin":true},"a":[]}') as unknown,
  ),
  same('list with holes', () => Object.assign(Array<number>(5), { 1: 1, 3: undefined })),
  same('list with properties', () => /(a)(?<x>b)?/.exec('ab')),
  same('cycle', cyclic, { hasNoJson: true }),
  same('one object twice', () => {
    const at = new URL('https://a.example');
    const shared = { at };
    return [shared, shared, at];
  }),
  same('registered symbol', () => [Symbol.for('paid'), Symbol.iterator]),
  same('very many items', () => Array.from({ length: 2_000 }, (_, index) => ({ index }))),
  data('instance that is only data', () => new Point(3, 4)),
  data('instance of a subclass', () => new Square()),
  same('instances, with returns', () => ({ at: [new Point(1, 2)] }), { returns: Point }),
  data('subclass of a class in returns', () => new Square(), { returns: Shape }),
  same('classes in returns', () => [new Square(), new Shape()], { returns: [Shape, Square] }),
  same('Map of its own class, with returns', () => new Tags([['a', 1]]), { returns: Tags }),
  same('list of its own class, with returns', () => List.from([1, 2]), { returns: List }),
  lost(
    'list of its own class with a way through',
    () => new Numbers(),
    'value is a Numbers object, which is iterable',
  ),
  lost(
    'class with toJSON()',
    () => ({ price: new Money(5) }),
    'value.price is a Money object, which has toJSON()',
  ),
  same('class with toJSON(), with returns', () => [new Money(5)], { returns: Money }),
  lost(
    'class with a getter',
    () => [new Circle()],
    'value[] is a Circle object, which has accessors',
  ),
  same('class with a getter, with returns', () => new Circle(), { returns: Circle }),
  lost('class with private fields and a getter', () => new Account(), 'Account object, which has'),
  lost(
    'class with a private field',
    () => ({ a: new Sealed() }),
    'value.a is a Sealed object, which has private state',
  ),
  lost(
    'class with state in a WeakMap',
    () => new Hidden(),
    'a Hidden object, which has private state',
  ),
  lost(
    'class with @Exclude()',
    () => [new User()],
    'value[] is an User object, which has decorators',
    { isHidden: true },
  ),
  lost('class with @Expose()', () => new Renamed(), 'which has decorators', { isHidden: true }),
  lost('class with @Transform()', () => new Masked(), 'which has decorators', { isHidden: true }),
  same('class with @Type(), with returns', () => new Basket(), { returns: Basket }),
  lost(
    'class-transformer and a class it does not know',
    () => new Priced(),
    'which class-transformer restores with members of other classes',
    { returns: Priced, isHidden: true },
  ),
  lost('entity with a lazy relation', lazyEntity, 'value.owner is an accessor'),
  lost('function', () => ({ cancel: () => 1 }), 'value.cancel is a function'),
  lost(
    'function among other data',
    () => [{ id: 1 }, { on: { done() {} } }],
    'value[].on.done is a function',
  ),
  lost('symbol', () => ({ tag: Symbol('x') }), 'value.tag is a symbol of its own'),
  lost('member named by a symbol', () => ({ [Symbol('x')]: 1 }), 'whose name is a symbol'),
  lost(
    'hidden member',
    () => withOwn({ a: 1 }, 'b', { value: SECRET }),
    'value.b is a property that is not enumerable',
  ),
  lost(
    'getter of an object',
    () => ({
      get a() {
        return 1;
      },
    }),
    'value.a is an accessor',
  ),
  lost('inherited data', () => Object.create({ a: 1 }) as unknown, 'inherits properties'),
  lost('Promise', () => ({ later: Promise.resolve(1) }), 'value.later is a Promise object'),
  lost(
    'generator',
    () =>
      ({
        *items() {
          yield 1;
        },
      }).items(),
    'object',
  ),
  lost('iterator', () => new Map([[1, 2]]).entries(), 'object'),
  lost('Proxy', () => new Proxy({ a: 1 }, {}), 'value is a Proxy'),
  lost('revoked Proxy', () => ({ a: revoked() }), 'value.a is a Proxy', { hasNoJson: true }),
  lost(
    'Proxy whose code throws',
    () => [
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error('A trap was sprung.');
          },
        },
      ),
    ],
    'value[] is a Proxy',
    { hasNoJson: true },
  ),
  lost('Proxy of a list', () => ({ list: new Proxy([1], {}) }), 'value.list is a Proxy'),
  lost('WeakMap', () => new WeakMap(), 'a WeakMap object'),
  lost('Headers', () => new Headers({ a: 'b' }), 'a Headers object'),
  lost('Blob', () => new Blob(['a']), 'a Blob object'),
  lost('Intl.NumberFormat', () => new Intl.NumberFormat('de'), 'a NumberFormat object'),
  lost(
    'Date with properties',
    () => Object.assign(new Date(1), { zone: 'UTC' }),
    'a Date object, which has properties',
  ),
  lost('Map with a function', () => new Map([['a', { b() {} }]]), 'value.get().b is a function'),
  lost('address as a name', () => ({ 'alice@example.org': () => 1 }), 'value[…] is a function'),
  lost(
    'error with private state',
    () =>
      new (class extends Error {
        #x = 1;
        x() {
          return this.#x;
        }
      })('no'),
    'has private state',
  ),
  data('error of its own class', () => new InsufficientFunds(3)),
  same('error of its own class, with returns', () => new InsufficientFunds(3), {
    returns: InsufficientFunds,
  }),
  same('status of an exception', () => new HttpException({ a: [1], code: 'X' }, 422)),
];
