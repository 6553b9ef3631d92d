import { types } from 'node:util';
import { sameKinds } from '../../replies/class-transformer.js';
import type { Keeping, Place } from '../../replies/kept-value.js';
import { jsonView } from '../../replies/json-view.js';

/** The parts of GraphQL's types that are read. */
interface SchemaType {
  readonly name?: string;
  /** What a list, or a type that is not nullable, is made of. */
  readonly ofType?: SchemaType;
  getFields?(): Readonly<Record<string, { readonly type: SchemaType } | undefined>>;
  /** What a scalar or an enumeration makes of values, and what it reads. */
  serialize?(value: unknown): unknown;
  parseValue?(value: unknown): unknown;
  /** What decides the member of a union or interface. */
  readonly resolveType?: unknown;
}

/** The part of GraphQL's schema that is read. */
interface Schema {
  getType(name: string): SchemaType | undefined;
  getPossibleTypes(type: SchemaType): readonly SchemaType[];
}

/** What a resolver is told about its field. */
export interface FieldInfo {
  readonly returnType: SchemaType;
  readonly schema: Schema;
}

/** What the schema says about the value of a field. */
export function placeOf({ returnType, schema }: FieldInfo, keeping: Keeping): Place | undefined {
  return place(returnType, { schema, keeping, isMember: false });
}

/** Reads what a scalar of the schema made of a value. */
export function leafReader({ schema }: FieldInfo): (name: string) => LeafReader | undefined {
  return (name) => {
    const type = schema.getType(name);
    return type?.parseValue && ((data) => type.parseValue!(data));
  };
}

type LeafReader = (data: unknown) => unknown;

/** What is the same in all places of a value. */
interface Surroundings {
  readonly schema: Schema;
  readonly keeping: Keeping;
  /** An object is around it, whose accessors and field resolvers may read it. */
  readonly isMember: boolean;
}

function place(type: SchemaType, around: Surroundings): Place | undefined {
  const { ofType } = type;
  if (ofType !== undefined)
    return isList(type) ? new ListPlace(ofType, around) : place(ofType, around);
  if (type.serialize !== undefined) return new LeafPlace(type, around);
  return new ObjectPlace(type, around);
}

function isList(type: SchemaType): boolean {
  return (
    (type as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'GraphQLList'
  );
}

class ListPlace implements Place {
  constructor(
    private readonly type: SchemaType,
    private readonly around: Surroundings,
  ) {}

  member(): undefined {
    return undefined;
  }

  item(): Place | undefined {
    return place(this.type, this.around);
  }
}

/** A scalar or an enumeration. */
class LeafPlace implements Place {
  constructor(
    private readonly type: SchemaType,
    private readonly around: Surroundings,
  ) {}

  member(): undefined {
    return undefined;
  }

  item(): undefined {
    return undefined;
  }

  /**
   * What clients get. On replay, the scalar sees what it reads from that, or the same again. Within
   * an object, other code may read it too, so there it must be of the class that it was.
   */
  leaf(value: unknown): { data: unknown; name?: string } | undefined {
    const { type, around } = this;
    // No scalar is asked: clients get the error.
    if (types.isNativeError(value) || value instanceof Error) return undefined;
    try {
      const data = jsonView(type.serialize!(value), around.keeping);
      const read = attempt(() => type.parseValue!(data));
      const isReadable = isSame(data, () => type.serialize!(read));
      if (isReadable && typeof read === typeof value && sameKinds(value, read))
        return { data, name: type.name };
      if (around.isMember) return undefined;
      if (isSame(data, () => type.serialize!(data))) return { data };
      if (isReadable) return { data, name: type.name };
    } catch {
      // The client gets an error of the scalar, too.
    }
    return undefined;
  }
}

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch {
    return undefined;
  }
}

function isSame(data: unknown, make: () => unknown): boolean {
  try {
    return JSON.stringify(make()) === JSON.stringify(data);
  } catch {
    return false;
  }
}

/** An object, or a member of a union or an interface. */
class ObjectPlace implements Place {
  private readonly isAbstract: boolean;

  constructor(
    private readonly type: SchemaType,
    private readonly around: Surroundings,
  ) {
    this.isAbstract = 'resolveType' in type;
  }

  member(key: string): Place | undefined {
    for (const type of this.types()) {
      const field = type.getFields?.()[key];
      if (field !== undefined) return place(field.type, { ...this.around, isMember: true });
    }
    return undefined;
  }

  item(): undefined {
    return undefined;
  }

  needsClass(instance: object): string | undefined {
    if (this.isAbstract && !Object.hasOwn(instance, '__typename'))
      return 'tells by its class which member of a union or interface it is';
    for (const type of this.types())
      for (const name of Object.keys(type.getFields?.() ?? {}))
        if (name in instance && !Object.hasOwn(instance, name))
          return 'has methods that are fields';
    return undefined;
  }

  private types(): readonly SchemaType[] {
    return this.isAbstract ? this.around.schema.getPossibleTypes(this.type) : [this.type];
  }
}
