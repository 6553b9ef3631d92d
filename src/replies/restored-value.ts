import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import type { Transformation } from './class-transformer.js';
import { ERRORS } from './data-class.js';
import type { KnownType, KnownTypes } from './known-types.js';
import { type ErrorData, type Mark, MARKS, setMember, WELL_KNOWN } from './marks.js';

/** How values are restored. */
export interface Restoring {
  readonly types: KnownTypes;
  readonly transformation?: Transformation;
  /** Reads what a scalar of the schema made; `undefined` for one that is not known. */
  readonly leaf?: (name: string) => ((data: unknown) => unknown) | undefined;
  /** Gives the data of instances whose type is not known, instead of failing. */
  readonly isLenient?: boolean;
}

/**
 * Puts what stand-ins stand for in their place. Only classes that the application named, or that
 * are the language's own, are made: a record can name them, and contains no code.
 *
 * @throws for a type that is not known, or that cannot be made from its data
 */
export function restored(value: unknown, marked: unknown, restoring: Restoring): unknown {
  return new Restorer(restoring, marks(marked)).restore(value);
}

/** Marks of stand-ins that are replaced. */
type Converted = Exclude<Mark, 'bare' | 'class' | 'error'>;

type Marks = ReadonlyMap<object, { readonly mark: Mark; readonly name?: string }>;

/** A stand-in that is being replaced. Only a record that is damaged contains itself in there. */
const OPEN = Symbol('open');

function marks(marked: unknown): Marks {
  const found = new Map<object, { mark: Mark; name?: string }>();
  for (const [standIn, mark, name] of marked as Iterable<[object, Mark, string?]>)
    if (MARKS.includes(mark)) found.set(standIn, { mark, name });
    else throw new TypeError('There is no such mark.');
  return found;
}

class Restorer {
  private readonly done = new Map<object, unknown>();

  constructor(
    private readonly restoring: Restoring,
    private readonly marks: Marks,
  ) {}

  restore(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
    const known = this.done.get(value);
    if (known === OPEN) throw new TypeError('A stand-in contains itself.');
    if (known !== undefined) return known;
    const marked = this.marks.get(value);
    if (marked === undefined) return this.contents(value);
    const { mark, name } = marked;
    if (mark === 'bare') return Object.setPrototypeOf(this.contents(value), null) as object;
    if (mark === 'class') return this.instance(value, name!);
    if (mark === 'error') return this.error(value, value as ErrorData, name!);
    return this.replaced(value as { data: unknown }, mark, name);
  }

  /** Restores members in their place, so that cycles stay cycles. */
  private contents(object: object): object {
    this.done.set(object, object);
    if (types.isMap(object)) {
      const entries = [...object];
      object.clear();
      for (const [key, value] of entries) object.set(this.restore(key), this.restore(value));
    } else if (types.isSet(object)) {
      const items = [...object];
      object.clear();
      for (const item of items) object.add(this.restore(item));
    } else
      for (const key of Object.keys(object)) {
        const value = (object as Record<string, unknown>)[key];
        const made = this.restore(value);
        if (made !== value) setMember(object, key, made);
      }
    return areForeign ? atHome(object) : object;
  }

  private instance(object: object, name: string): object {
    const type = this.type(name);
    const made = this.contents(object);
    if (type === undefined) return made;
    return Object.setPrototypeOf(made, type.class.prototype) as object;
  }

  private error(
    standIn: object,
    { message, stack, members, hidden }: ErrorData,
    name: string,
  ): object {
    const type = Object.hasOwn(ERRORS, name) ? undefined : this.type(name);
    const root = Object.hasOwn(ERRORS, name) ? ERRORS[name as keyof typeof ERRORS] : Error;
    const error = message === undefined ? new Error() : new Error(message);
    error.stack = stack;
    Object.setPrototypeOf(error, type?.class.prototype ?? (root.prototype as object));
    // Before its members, because one of them may be the error itself.
    this.done.set(standIn, error);
    for (const key of Object.keys(members)) {
      const value = this.restore((members as Readonly<Record<string, unknown>>)[key]);
      const enumerable = !hidden.includes(key);
      Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
    }
    return error;
  }

  private replaced(standIn: { data: unknown }, mark: Converted, name: string | undefined): unknown {
    this.done.set(standIn, OPEN);
    const made = this.made(this.restore(standIn.data), mark, name);
    this.done.set(standIn, made);
    return made;
  }

  private made(data: unknown, mark: Converted, name: string | undefined): unknown {
    switch (mark) {
      case 'type': {
        const type = this.type(name!);
        if (type === undefined) return data;
        if (type.fromData === undefined) throw notMade(name!, 'has no fromData() any more');
        return type.fromData(data);
      }
      case 'transformed': {
        const type = this.type(name!);
        const { transformation } = this.restoring;
        if (type === undefined) return data;
        if (transformation === undefined) throw notMade(name!, 'needs class-transformer');
        return transformation.transformer.plainToInstance(type.class, data);
      }
      case 'leaf': {
        const read = this.restoring.leaf?.(name!);
        if (read !== undefined) return read(data);
        if (this.restoring.isLenient === true) return data;
        throw notMade(name!, 'is no scalar of the schema any more');
      }
      case 'url':
        return new URL(data as string);
      case 'search-params':
        return new URLSearchParams(data as string);
      case 'dom-exception': {
        const [message, exception] = data as [string, string];
        return new DOMException(message, exception);
      }
      case 'regexp': {
        const [source, flags, lastIndex] = data as [string, string, number];
        return Object.assign(new RegExp(source, flags), { lastIndex });
      }
      case 'symbol':
        return symbolOf(data as string, name);
      case 'boxed-symbol':
        return Object(symbolOf(data as string, name));
    }
  }

  private type(name: string): KnownType | undefined {
    const type = this.restoring.types.ofName(name);
    if (type !== undefined || this.restoring.isLenient === true) return type;
    throw notMade(name, 'is not known here. Register it under this name in `types` or `returns`');
  }
}

function symbolOf(name: string, kind: string | undefined): symbol {
  return (kind === undefined ? undefined : WELL_KNOWN.get(name)) ?? Symbol.for(name);
}

/** A record contains a type that cannot be made here. */
export class UnknownTypeError extends Error {
  override readonly name = 'UnknownTypeError';
}

function notMade(name: string, because: string): Error {
  return new UnknownTypeError(
    `The record contains the type ${JSON.stringify(name)}, which ${because}.`,
  );
}

/** Node decodes records outside the context in which some test runners run code. */
export const areForeign = !(deserialize(serialize(new Date(0))) instanceof Date);

/** An object of the language with the classes of this context, as code here expects it. */
function atHome(object: object): object {
  for (const [isOne, type] of HOMES)
    if (isOne(object)) return Object.setPrototypeOf(object, type.prototype as object) as object;
  return object;
}

const HOMES: readonly (readonly [(value: unknown) => boolean, { readonly prototype: unknown }])[] =
  [
    [Array.isArray, Array],
    [types.isDate, Date],
    [types.isMap, Map],
    [types.isSet, Set],
    [types.isRegExp, RegExp],
    [isPlainElsewhere, Object],
  ];

function isPlainElsewhere(value: unknown): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype !== null && Object.getPrototypeOf(prototype) === null;
}
