import { types } from 'node:util';
import {
  called,
  checkData,
  checkDecorators,
  sameKinds,
  type Transformation,
} from './class-transformer.js';
import { BYTES, hasNoContents, hasPrivateState, isRoot, moreThanData } from './data-class.js';
import {
  addedTo,
  errorReason,
  HIDDEN,
  hiddenText,
  isDomException,
  rootName,
} from './kept-error.js';
import type { KnownType, KnownTypes } from './known-types.js';
import { type ErrorData, type Mark, type Marked, setMember, WELL_KNOWN } from './marks.js';
import { Inside, kindOf, NotKeepableError, type Path } from './not-keepable.js';
import { isBare, isBytes } from './plain-values.js';

/** Where the schema says something about a value; see {@link Keeping.place}. */
export interface Place {
  /** What the schema says about a member, and about an item of a list. */
  member(key: string): Place | undefined;
  item(): Place | undefined;
  /**
   * The form that a scalar gives a value which cannot be kept by itself, with the scalar's name if
   * it is needed to read it; `undefined` where there is no scalar.
   *
   * @throws if there is no such form
   */
  leaf?(value: unknown): { readonly data: unknown; readonly name?: string } | undefined;
  /** Why properties alone are not enough of an instance whose class is not known. */
  needsClass?(instance: object): string | undefined;
}

/** How values are kept. */
export interface Keeping {
  /** The classes that are known. */
  readonly types: KnownTypes;
  /** Present where the application has `class-transformer`. */
  readonly transformation?: Transformation;
  /** What the schema says about the whole value. */
  readonly place?: Place;
}

/** The copy of an object that is being made. */
const OPEN = Symbol('open');

/**
 * Copies a value that is not plain into one that V8 clones, with stand-ins for what it does not
 * clone to an equal one.
 *
 * @throws {@link NotKeepableError}
 */
export function standInsFor(
  value: unknown,
  keeping: Keeping,
): { readonly copy: unknown; readonly marked: readonly Marked[] } {
  const copier = new Copier(keeping);
  try {
    return { copy: copier.copy(value, undefined, keeping.place), marked: copier.marked };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new NotKeepableError(undefined, 'nested too deeply');
  }
}

class Copier {
  readonly marked: Marked[] = [];
  private readonly copies = new Map<object, object | typeof OPEN>();

  constructor(private readonly keeping: Keeping) {}

  copy(value: unknown, path: Path | undefined, place: Place | undefined): unknown {
    if (typeof value === 'object') return value === null ? null : this.object(value, path, place);
    if (typeof value === 'symbol') return this.symbol(value, path, place);
    if (typeof value !== 'function') return value;
    return this.leafOr(value, path, place, new NotKeepableError(path, 'a function'));
  }

  private object(object: object, path: Path | undefined, place: Place | undefined): unknown {
    const copy = this.copies.get(object);
    if (copy === OPEN)
      throw new NotKeepableError(path, kindOf(object), 'is part of what is kept of itself');
    if (copy !== undefined) return copy;
    const marks = this.marked.length;
    const copies = this.copies.size;
    try {
      return this.copied(object, path, place);
    } catch (error) {
      if (place?.leaf === undefined || !(error instanceof NotKeepableError)) throw error;
      this.marked.length = marks;
      for (const abandoned of [...this.copies.keys()].slice(copies)) this.copies.delete(abandoned);
      return this.leafOr(object, path, place, error);
    }
  }

  /** What a scalar of the schema makes of a value that cannot be kept by itself. */
  private leafOr(
    value: unknown,
    path: Path | undefined,
    place: Place | undefined,
    error: NotKeepableError,
  ): unknown {
    const leaf = place?.leaf?.(value);
    if (leaf === undefined) throw error;
    const data = this.copy(leaf.data, { outer: path, key: Inside.data }, undefined);
    return leaf.name === undefined ? data : this.mark({ data }, 'leaf', leaf.name);
  }

  private copied(object: object, path: Path | undefined, place: Place | undefined): unknown {
    if (types.isProxy(object)) throw new NotKeepableError(path, 'a Proxy');
    const known = this.keeping.types.ofInstance(object);
    if (known?.toData !== undefined) return this.converted(object, known, path);
    if (types.isNativeError(object) || object instanceof Error)
      return this.error(object, known, path);
    const prototype = Object.getPrototypeOf(object) as object | null;
    if (prototype === null) return this.mark(this.members(object, {}, path, place), 'bare');
    if (known !== undefined) return this.instance(object, known, path, place);
    if (object instanceof URL) return this.made(object, 'url', object.href, path);
    if (object instanceof URLSearchParams)
      return this.made(object, 'search-params', object.toString(), path);
    if (!isRoot(prototype)) this.checkClass(object, prototype, path, place);
    return this.contents(object, path, place);
  }

  /** The instance of a class that nobody named must be only data. */
  private checkClass(
    object: object,
    prototype: object,
    path: Path | undefined,
    place: Place | undefined,
  ): void {
    const reason = moreThanData(prototype) ?? place?.needsClass?.(object);
    if (reason !== undefined) throw new NotKeepableError(path, kindOf(object), reason, true);
    if (place?.leaf !== undefined)
      throw new NotKeepableError(path, kindOf(object), 'its scalar cannot read back', true);
    checkDecorators(object, this.keeping.transformation, path);
  }

  /** A copy of a built-in kind of object, or of an instance, with what is in it. */
  private contents(object: object, path: Path | undefined, place: Place | undefined): unknown {
    if (Array.isArray(object)) return this.members(object, Array(object.length), path, place);
    if (types.isMap(object)) return this.map(object, path);
    if (types.isSet(object)) return this.set(object, path, place);
    if (isBytes(object)) return this.bytes(object, path);
    if (types.isDate(object))
      return this.only(object, new Date(Date.prototype.getTime.call(object)), path);
    if (types.isRegExp(object)) return this.regexp(object, path);
    if (types.isSymbolObject(object))
      return this.only(
        object,
        this.symbol(object.valueOf(), path, undefined, 'boxed-symbol'),
        path,
      );
    if (types.isBoxedPrimitive(object)) return this.boxed(object, path);
    if (hasNoContents(object)) throw new NotKeepableError(path, kindOf(object));
    return this.members(object, {}, path, place);
  }

  /** Copies the members of an object. All must be data that everybody sees. */
  private members(
    from: object,
    to: object,
    path: Path | undefined,
    place: Place | undefined,
  ): object {
    this.copies.set(from, to);
    const isList = Array.isArray(from);
    for (const key of Reflect.ownKeys(from)) {
      if (isList && key === 'length') continue;
      const member = Object.getOwnPropertyDescriptor(from, key)!;
      const at: Path = { outer: path, key: isList && isIndex(key) ? Inside.item : key };
      if (!('value' in member)) throw new NotKeepableError(at, 'an accessor');
      if (typeof key === 'symbol')
        throw new NotKeepableError(at, 'a property whose name is a symbol');
      if (member.enumerable !== true)
        throw new NotKeepableError(at, 'a property that is not enumerable');
      const inside = place && (isList ? place.item() : place.member(key));
      setMember(to, key, this.copy(member.value, at, inside));
    }
    return to;
  }

  private map(map: ReadonlyMap<unknown, unknown>, path: Path | undefined): unknown {
    const copy = new Map<unknown, unknown>();
    this.only(map, copy, path);
    for (const [key, value] of Map.prototype.entries.call(map) as Iterable<[unknown, unknown]>)
      copy.set(
        this.copy(key, { outer: path, key: Inside.key }, undefined),
        this.copy(value, { outer: path, key: Inside.value }, undefined),
      );
    return copy;
  }

  private set(
    set: ReadonlySet<unknown>,
    path: Path | undefined,
    place: Place | undefined,
  ): unknown {
    const copy = new Set<unknown>();
    this.only(set, copy, path);
    for (const item of Set.prototype.values.call(set) as Iterable<unknown>)
      copy.add(this.copy(item, { outer: path, key: Inside.item }, place?.item()));
    return copy;
  }

  private bytes(object: object, path: Path | undefined): unknown {
    const isKnown = BYTES.some(({ prototype }) =>
      Object.prototype.isPrototypeOf.call(prototype, object),
    );
    if (!isKnown) throw new NotKeepableError(path, kindOf(object));
    return object;
  }

  private regexp(regexp: RegExp, path: Path | undefined): unknown {
    const { source, flags, lastIndex } = regexp;
    const others = Reflect.ownKeys(regexp).filter((key) => key !== 'lastIndex');
    if (others.length > 0) throw new NotKeepableError(path, kindOf(regexp), 'has properties');
    const standIn = this.mark({ data: [source, flags, lastIndex] }, 'regexp');
    this.copies.set(regexp, standIn);
    return standIn;
  }

  private boxed(object: object, path: Path | undefined): unknown {
    // The characters of a string look like properties.
    const isText = types.isStringObject(object);
    const others = Reflect.ownKeys(object).filter(
      (key) => !isText || (key !== 'length' && !isIndex(key)),
    );
    if (others.length > 0) throw new NotKeepableError(path, kindOf(object), 'has properties');
    const copy = Object(object.valueOf()) as object;
    this.copies.set(object, copy);
    return copy;
  }

  /** For kinds of objects that are kept without properties of their own. */
  private only(object: object, copy: unknown, path: Path | undefined): unknown {
    if (!isBare(object)) throw new NotKeepableError(path, kindOf(object), 'has properties');
    this.copies.set(object, copy as object);
    return copy;
  }

  private made(object: object, mark: Mark, data: unknown, path: Path | undefined): unknown {
    if (moreThanData(Object.getPrototypeOf(object) as object) !== undefined && !isExactly(object))
      throw new NotKeepableError(path, kindOf(object), '', true);
    const standIn = this.mark({ data }, mark);
    this.copies.set(object, standIn);
    return standIn;
  }

  private symbol(
    symbol: symbol,
    path: Path | undefined,
    place: Place | undefined,
    mark: Mark = 'symbol',
  ): unknown {
    const registered = Symbol.keyFor(symbol);
    if (registered !== undefined) return this.mark({ data: registered }, mark);
    for (const [name, known] of WELL_KNOWN)
      if (known === symbol) return this.mark({ data: name }, mark, 'well-known');
    return this.leafOr(symbol, path, place, new NotKeepableError(path, 'a symbol of its own'));
  }

  private converted(object: object, { name, toData }: KnownType, path: Path | undefined): unknown {
    this.copies.set(object, OPEN);
    const data = this.copy(
      called(() => toData!(object), path, object, 'toData() of its type failed'),
      { outer: path, key: Inside.data },
      undefined,
    );
    const standIn = this.mark({ data }, 'type', name);
    this.copies.set(object, standIn);
    return standIn;
  }

  private instance(
    object: object,
    known: KnownType,
    path: Path | undefined,
    place: Place | undefined,
  ): unknown {
    const prototype = Object.getPrototypeOf(object) as object;
    const { name, trust, class: type } = known;
    const isPrivate = hasPrivateState(prototype);
    const reason =
      trust === 'data'
        ? moreThanData(prototype)
        : isPrivate
          ? 'has private state'
          : addedTo(type.prototype, prototype);
    if (reason !== undefined) throw new NotKeepableError(path, kindOf(object), reason, true);
    const { transformation } = this.keeping;
    if (trust !== 'named') checkDecorators(object, this.keeping.transformation, path);
    else if (transformation?.concerns(type, Object.keys(object)) === true)
      return this.transformed(object, known, transformation, path);
    const copy = this.contents(object, path, place) as object;
    return this.mark(copy, 'class', name);
  }

  /** Kept in the form that `class-transformer` shows, if it makes an instance from it again. */
  private transformed(
    object: object,
    { name, class: type }: KnownType,
    { transformer }: Transformation,
    path: Path | undefined,
  ): unknown {
    checkData(object, path);
    const plain = called(
      () => transformer.instanceToPlain(object),
      path,
      object,
      'class-transformer fails to make plain',
    );
    const restored = called(
      () => transformer.plainToInstance(type, structuredClone(plain)),
      path,
      object,
      'class-transformer fails to restore',
    );
    if (!sameKinds(object, restored))
      throw new NotKeepableError(
        path,
        kindOf(object),
        'class-transformer restores with members of other classes',
        true,
      );
    this.copies.set(object, OPEN);
    const data = this.copy(plain, { outer: path, key: Inside.data }, undefined);
    const standIn = this.mark({ data }, 'transformed', name);
    this.copies.set(object, standIn);
    return standIn;
  }

  /**
   * Errors are kept by their message, stack and properties. What tools for tracing mark them with,
   * which is hidden, is not.
   */
  private error(error: object, known: KnownType | undefined, path: Path | undefined): unknown {
    const { stack } = error as Error;
    if (isDomException(error)) {
      const { message, name } = error as Error;
      const standIn = this.mark({ data: [message, name] }, 'dom-exception');
      this.copies.set(error, standIn);
      return standIn;
    }
    const prototype = Object.getPrototypeOf(error) as object;
    const reason = errorReason(prototype, known);
    if (reason !== undefined) throw new NotKeepableError(path, kindOf(error), reason, true);
    const members = {};
    const hidden: string[] = [];
    const data: ErrorData = {
      message: hiddenText(error, 'message'),
      stack: typeof stack === 'string' ? stack : undefined,
      members,
      hidden,
    };
    const standIn = this.mark(data, 'error', known?.name ?? rootName(prototype));
    this.copies.set(error, standIn);
    const { name } = error as Error;
    if (known === undefined && !Object.hasOwn(error, 'name') && name !== rootName(prototype)) {
      setMember(members, 'name', String(name));
      hidden.push('name');
    }
    for (const key of Reflect.ownKeys(error)) {
      if (typeof key === 'symbol' || key === 'stack') continue;
      const member = Object.getOwnPropertyDescriptor(error, key)!;
      const at: Path = { outer: path, key };
      if (member.enumerable !== true && !HIDDEN.has(key)) continue;
      if (!('value' in member)) throw new NotKeepableError(at, 'an accessor');
      setMember(members, key, this.copy(member.value, at, undefined));
      if (member.enumerable !== true) hidden.push(key);
    }
    return standIn;
  }

  private mark<T extends object>(standIn: T, mark: Mark, name?: string): T {
    this.marked.push(name === undefined ? [standIn, mark] : [standIn, mark, name]);
    return standIn;
  }
}

/** True for an object of exactly this class, which its name tells. */
function isExactly(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object;
  return prototype === URL.prototype || prototype === URLSearchParams.prototype;
}

function isIndex(key: PropertyKey): boolean {
  return typeof key === 'string' && /^(?:0|[1-9]\d*)$/.test(key);
}
