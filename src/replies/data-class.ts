import { types } from 'node:util';

/**
 * Tells classes whose instances are only data from those that are more. What an instance shows
 * through accessors, `toJSON()` or private state is not in its properties, so a copy of them would
 * be something else.
 */

/** Why copies of an instance would not be the same, to follow its class: `which has accessors`. */
export type Reason = string;

const reasons = new WeakMap<object, Reason | null>();
const privacy = new WeakMap<object, boolean>();

/** Kinds of objects that are bytes. */
export const BYTES = [
  Buffer,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  ArrayBuffer,
] as const;

/** The language's own errors, by their names. */
export const ERRORS = {
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
} as const;

const BOXED = [Number, String, Boolean, BigInt, Symbol] as const;

/** The language's own kinds of objects. A chain of classes ends at the prototype of one of them. */
const KINDS = [
  Object,
  Array,
  Date,
  Map,
  Set,
  RegExp,
  ...BOXED,
  ...BYTES,
  ...Object.values(ERRORS),
] as const;
const ROOTS: ReadonlySet<object> = new Set(KINDS.map(({ prototype }) => prototype as object));
const ROOT_NAMES: ReadonlySet<string> = new Set(KINDS.map(({ name }) => name));

/** True for prototypes of the language itself, also where they come from another realm. */
export function isRoot(prototype: object): boolean {
  return ROOTS.has(prototype) || isForeignRoot(prototype);
}

/** The same of another realm, such as the one of a test's sandbox: only its name and source tell. */
function isForeignRoot(prototype: object): boolean {
  const type = constructorOf(prototype);
  return (
    typeof type === 'function' &&
    ROOT_NAMES.has(type.name) &&
    type.prototype === prototype &&
    NATIVE.test(sourceOf(type))
  );
}

/** Why instances with this prototype are more than their own data; `undefined` if they are not. */
export function moreThanData(prototype: object): Reason | undefined {
  let reason = reasons.get(prototype);
  if (reason === undefined) {
    reason = inherited(prototype, reasonOf, moreThanData) ?? null;
    reasons.set(prototype, reason);
  }
  return reason ?? undefined;
}

/** True for a class, or a class below it, whose instances have state that nobody else can read. */
export function hasPrivateState(prototype: object): boolean {
  let isPrivate = privacy.get(prototype);
  if (isPrivate === undefined) {
    isPrivate =
      inherited(
        prototype,
        (one) => keepsPrivateState(constructorOf(one)),
        (one) => hasPrivateState(one) || undefined,
      ) === true;
    privacy.set(prototype, isPrivate);
  }
  return isPrivate;
}

function inherited<T>(
  prototype: object,
  own: (prototype: object) => T | undefined,
  ofParent: (prototype: object) => T | undefined,
): T | undefined {
  if (isRoot(prototype)) return undefined;
  const found = own(prototype);
  if (found !== undefined && found !== false) return found;
  const parent = Object.getPrototypeOf(prototype) as object | null;
  return parent === null ? undefined : ofParent(parent);
}

/** Like {@link moreThanData}, for what this class adds to the one above it. */
export function reasonOf(prototype: object): Reason | undefined {
  for (const key of Reflect.ownKeys(prototype)) {
    if (key === 'constructor' || key === Symbol.toStringTag) continue;
    // Kept with each error.
    if (key === 'name' && prototype instanceof Error) continue;
    const member = Object.getOwnPropertyDescriptor(prototype, key)!;
    if (key === 'toJSON') return 'has toJSON()';
    if (key === Symbol.iterator || key === Symbol.asyncIterator) return 'is iterable';
    if (!('value' in member)) return 'has accessors';
    if (typeof member.value !== 'function') return 'inherits properties from its prototype';
  }
  return keepsPrivateState(constructorOf(prototype)) ? 'has private state' : undefined;
}

function constructorOf(prototype: object): unknown {
  return Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
}

/**
 * Nothing tells of private members but the source of the class: `#member` as it is written, and
 * what compilers for older targets make of it, which is a `WeakMap` beside the class.
 */
const DECLARED = /(?:^|[\s{};*])#[\p{ID_Start}$_][\p{ID_Continue}$]*\s*(?:[=;({\n}]|$)/mu;
const COMPILED =
  /__classPrivateField|_class_private_|_classPrivate|__private(?:Add|Get|Set)|\.(?:set|add)\(this\b/;
const NATIVE = /\{\s*\[native code\]\s*\}\s*$/;

function keepsPrivateState(type: unknown): boolean {
  if (typeof type !== 'function') return false;
  const source = sourceOf(type);
  return DECLARED.test(source) || COMPILED.test(source) || NATIVE.test(source);
}

function sourceOf(type: object): string {
  return Function.prototype.toString.call(type);
}

/** Objects of the language that have no contents to copy, whatever their class is called. */
export function hasNoContents(object: object): boolean {
  return (
    types.isPromise(object) ||
    types.isGeneratorObject(object) ||
    types.isWeakMap(object) ||
    types.isWeakSet(object) ||
    types.isExternal(object) ||
    types.isModuleNamespaceObject(object) ||
    types.isArgumentsObject(object) ||
    types.isMapIterator(object) ||
    types.isSetIterator(object) ||
    types.isSharedArrayBuffer(object)
  );
}
