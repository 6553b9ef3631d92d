import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ValueForm } from '../../calls/value-operations.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { TypedValue } from '../../replies/reply.js';

/** The part of `@nestjs/graphql` that is used. It is installed if there is a resolver. */
interface NestGraphql {
  readonly TypeMetadataStorage: { getObjectTypesMetadata(): Iterable<ObjectType> };
}

/** A class with `@ObjectType()`. */
interface ObjectType {
  readonly name: string;
  readonly target: NewableFunction;
}

/** Object types by name; `undefined` for a name that several schemas of the process use. */
type ClassesByName = ReadonlyMap<string, NewableFunction | undefined>;

/**
 * The classes of object types. GraphQL finds the member of a union by the class of an object, and
 * fields by its getters, so objects from a record get their classes back.
 */
@Injectable()
export class ObjectTypes implements ValueForm, OnModuleInit {
  private graphql: NestGraphql | undefined;
  private classes: ClassesByName | undefined;
  private readonly names = new Map<unknown, string>();

  constructor(private readonly handlers: HandlerRegistry) {}

  async onModuleInit(): Promise<void> {
    if (this.handlers.has('graphql'))
      this.graphql = (await import('@nestjs/graphql')) as unknown as NestGraphql;
  }

  /** The value with the types of its objects, if they have any. */
  keep(value: unknown): unknown {
    const classes = this.classesByName();
    const types = new Map<object, string>();
    for (const object of objectsIn(value)) {
      const name = this.nameOf(object);
      if (name !== undefined && classes.get(name) !== undefined) types.set(object, name);
    }
    return types.size === 0 ? value : new TypedValue(value, types);
  }

  /** The value, with its objects as instances of their classes. */
  restore(kept: unknown): unknown {
    if (!(kept instanceof TypedValue)) return withOwnDates(kept);
    const classes = this.classesByName();
    for (const [object, name] of kept.types) {
      const type = classes.get(name);
      if (type !== undefined && !(object instanceof type))
        Object.setPrototypeOf(object, type.prototype as object);
    }
    return withOwnDates(kept.value);
  }

  /** The type of an instance of a class or of its subclass. */
  private nameOf(object: object): string | undefined {
    let prototype = Object.getPrototypeOf(object) as object | null;
    while (prototype !== null && prototype !== Object.prototype) {
      const name = this.names.get(prototype.constructor);
      if (name !== undefined) return name;
      prototype = Object.getPrototypeOf(prototype) as object | null;
    }
    return undefined;
  }

  /** Complete once the schema is, which is before the first call. */
  private classesByName(): ClassesByName {
    if (this.classes !== undefined) return this.classes;
    const classes = new Map<string, NewableFunction | undefined>();
    for (const { name, target } of this.graphql?.TypeMetadataStorage.getObjectTypesMetadata() ??
      []) {
      const isTaken = classes.has(name) && classes.get(name) !== target;
      classes.set(name, isTaken ? undefined : target);
      this.names.set(target, name);
    }
    return (this.classes = classes);
  }
}

/** Every object in a value, each once, however deep and however often it occurs. */
function* objectsIn(value: unknown): Generator<object> {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    // Bytes contain no objects, but very many members.
    if (typeof next !== 'object' || next === null || ArrayBuffer.isView(next)) continue;
    if (seen.has(next)) continue;
    seen.add(next);
    yield next;
    for (const member of membersOf(next)) open.push(member);
  }
}

function* membersOf(object: object): Generator<unknown> {
  if (types.isMap(object)) for (const entry of object) yield* entry;
  else if (types.isSet(object)) yield* object;
  else yield* Object.values(object);
}

/** Node decodes records outside the context in which Jest runs code, with different classes. */
const areForeign = !(deserialize(serialize(new Date(0))) instanceof Date);

/** GraphQL's scalars recognise a date by the class of their own context. */
function withOwnDates(value: unknown): unknown {
  if (areForeign)
    for (const object of objectsIn(value))
      if (types.isDate(object)) Object.setPrototypeOf(object, Date.prototype);
  return value;
}
