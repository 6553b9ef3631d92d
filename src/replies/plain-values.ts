import { types } from 'node:util';
import { BYTES } from './data-class.js';

/** How a value can be kept without looking at it again. */
export type Plainness =
  /** A tree of what JSON has: its text is the fastest form to write and to read. */
  | 'json'
  /** What V8 itself clones to an equal value. */
  | 'clone'
  /** Anything else. */
  | 'special';

/** How far the nesting of values is followed. */
const MOST_NESTED = 1_000;

/**
 * Looks at every member of a value once, and stops at the first that is special. No code of the
 * application runs: accessors are seen, not called.
 */
export function plainnessOf(value: unknown): Plainness {
  return new Look().of(value, 0);
}

class Look {
  private readonly seen = new Set<object>();

  of(value: unknown, depth: number): Plainness {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return 'json';
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0) ? 'json' : 'clone';
      case 'undefined':
      case 'bigint':
        return 'clone';
      case 'object':
        return value === null ? 'json' : this.ofObject(value, depth);
      case 'function':
      case 'symbol':
        return 'special';
    }
  }

  private ofObject(object: object, depth: number): Plainness {
    if (depth === MOST_NESTED || types.isProxy(object)) return 'special';
    if (this.seen.has(object)) return 'clone';
    this.seen.add(object);
    if (Array.isArray(object)) return this.ofArray(object, depth + 1);
    const prototype: unknown = Object.getPrototypeOf(object);
    if (prototype === Object.prototype) return this.ofMembers(object, depth + 1);
    return isOwnKind(object, prototype) ? this.ofKind(object, depth + 1) : 'special';
  }

  private ofMembers(object: object, depth: number): Plainness {
    let plainness: Plainness = 'json';
    for (const key of Reflect.ownKeys(object)) {
      const member = Object.getOwnPropertyDescriptor(object, key)!;
      const isData = member.enumerable && member.get === undefined && member.set === undefined;
      if (!isData || typeof key === 'symbol') return 'special';
      const one = this.of(member.value, depth);
      if (one === 'special') return one;
      if (one === 'clone') plainness = one;
    }
    return plainness;
  }

  private ofArray(array: readonly unknown[], depth: number): Plainness {
    if (Object.getPrototypeOf(array) !== Array.prototype) return 'special';
    // Holes, and properties beside the items.
    if (Object.keys(array).length !== array.length || hasSymbols(array)) return 'special';
    let plainness: Plainness = 'json';
    for (let index = 0; index < array.length; index++) {
      const one = this.of(array[index], depth);
      if (one === 'special') return one;
      if (one === 'clone') plainness = one;
    }
    return plainness;
  }

  private ofKind(object: object, depth: number): Plainness {
    let members: Iterable<unknown> = [];
    if (types.isMap(object)) members = [...object].flat();
    else if (types.isSet(object)) members = object;
    for (const member of members) if (this.of(member, depth) === 'special') return 'special';
    return 'clone';
  }
}

/** True for a built-in kind of object with nothing added to it, which V8 clones to an equal one. */
function isOwnKind(object: object, prototype: unknown): boolean {
  switch (prototype) {
    case Date.prototype:
      return types.isDate(object) && isBare(object);
    case Map.prototype:
      return types.isMap(object) && isBare(object);
    case Set.prototype:
      return types.isSet(object) && isBare(object);
    default:
      return isBytes(object) && OF_BYTES.has(prototype as object);
  }
}

const OF_BYTES: ReadonlySet<object> = new Set(BYTES.map(({ prototype }) => prototype));

/** Bytes with another owner are copied. */
export function isBytes(object: object): boolean {
  return ArrayBuffer.isView(object) || types.isArrayBuffer(object);
}

function hasSymbols(object: object): boolean {
  return Object.getOwnPropertySymbols(object).length > 0;
}

/** True for an object without properties. */
export function isBare(object: object): boolean {
  return Reflect.ownKeys(object).length === 0;
}
