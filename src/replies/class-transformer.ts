import { types } from 'node:util';
import { isRoot } from './data-class.js';
import type { ClassLike } from './known-types.js';
import { kindOf, NotKeepableError, type Path } from './not-keepable.js';

/** The part of `class-transformer` that is used, where the application has it. */
export interface ClassTransformer {
  instanceToPlain(instance: unknown): unknown;
  plainToInstance(type: ClassLike<object>, plain: unknown): unknown;
}

/** What `class-transformer` does with instances, found out by trying it. */
export class Transformation {
  /** Members that it leaves as they are, by class. */
  private readonly untouched = new WeakMap<object, Set<string>>();

  constructor(readonly transformer: ClassTransformer) {}

  /**
   * True if decorators of the class (`@Exclude()`, `@Expose()`, `@Transform()`, `@Type()`) change
   * what is shown of an instance with these members. Only stand-ins are transformed, no content.
   */
  changes(prototype: object, keys: readonly string[]): boolean {
    let untouched = this.untouched.get(prototype);
    if (untouched === undefined) this.untouched.set(prototype, (untouched = new Set()));
    if (keys.every((key) => untouched.has(key))) return false;
    if (!this.leaves(prototype, keys)) return true;
    for (const key of keys) untouched.add(key);
    return false;
  }

  /** Like {@link changes}, and also true if it makes instances of other classes for members. */
  concerns(type: ClassLike<object>, keys: readonly string[]): boolean {
    if (this.changes(type.prototype, keys)) return true;
    try {
      const made = this.transformer.plainToInstance(
        type,
        Object.fromEntries(keys.map((key) => [key, {}])),
      ) as Readonly<Record<string, unknown>>;
      return keys.some((key) => {
        const member = made[key];
        if (typeof member !== 'object' || member === null) return true;
        return Object.getPrototypeOf(member) !== Object.prototype;
      });
    } catch {
      // Its constructor needs arguments, or a decorator expects real content.
      return false;
    }
  }

  private leaves(prototype: object, keys: readonly string[]): boolean {
    const probe = Object.create(prototype) as object;
    for (const key of keys)
      Object.defineProperty(probe, key, { value: key, enumerable: true, writable: true });
    try {
      const plain = this.transformer.instanceToPlain(probe) as Readonly<Record<string, unknown>>;
      const shown = Object.keys(plain).filter((key) => plain[key] !== undefined);
      return shown.length === keys.length && keys.every((key) => isShown(plain[key], key));
    } catch {
      return false;
    }
  }
}

/** True for the stand-in itself, and for what `@Type()` of a date or a number makes of it. */
function isShown(shown: unknown, standIn: string): boolean {
  const isTyped = (shown instanceof Date && Number.isNaN(shown.getTime())) || Number.isNaN(shown);
  return shown === standIn || isTyped;
}

/**
 * True if what was restored has objects of the same classes as the original, wherever both have a
 * member. Other members may have other content, because decorators said so.
 */
export function sameKinds(
  original: unknown,
  restored: unknown,
  seen = new Set<unknown>(),
): boolean {
  if (!isObject(original) || !isObject(restored)) return isObject(original) === isObject(restored);
  if (seen.has(original)) return true;
  seen.add(original);
  if (Object.getPrototypeOf(original) !== Object.getPrototypeOf(restored)) return false;
  return Object.keys(restored).every(
    (key) => !Object.hasOwn(original, key) || sameKinds(original[key], restored[key], seen),
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/**
 * @throws {@link NotKeepableError} for an instance of which `class-transformer` shows something else
 *   than its properties
 */
export function checkDecorators(
  object: object,
  transformation: Transformation | undefined,
  path: Path | undefined,
): void {
  const prototype = Object.getPrototypeOf(object) as object | null;
  if (prototype === null || isRoot(prototype)) return;
  if (transformation?.changes(prototype, Object.keys(object)) === true)
    throw new NotKeepableError(
      path,
      kindOf(object),
      'has decorators of class-transformer that change what is shown of it',
      true,
    );
}

/** @throws {@link NotKeepableError} for a property that is not data that everybody sees */
export function checkData(object: object, path: Path | undefined): void {
  for (const key of Reflect.ownKeys(object)) {
    const member = Object.getOwnPropertyDescriptor(object, key)!;
    const at: Path = { outer: path, key };
    if (!('value' in member)) throw new NotKeepableError(at, 'an accessor');
    if (typeof key === 'symbol')
      throw new NotKeepableError(at, 'a property whose name is a symbol');
    if (member.enumerable !== true)
      throw new NotKeepableError(at, 'a property that is not enumerable');
    if (typeof member.value === 'function') throw new NotKeepableError(at, 'a function');
    if (types.isPromise(member.value)) throw new NotKeepableError(at, 'a Promise object');
  }
}

/** Runs code of the application. What it throws may show content, so only its class is told. */
export function called<T>(
  run: () => T,
  path: Path | undefined,
  object: object,
  because: string,
): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof NotKeepableError) throw error;
    throw new NotKeepableError(path, kindOf(object), `${because} (${kindOf(error)})`, true);
  }
}
