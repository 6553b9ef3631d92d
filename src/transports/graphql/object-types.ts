import { Injectable, type OnModuleInit } from '@nestjs/common';
import { notInstalled } from '../../engine/configuration-error.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { type ClassLike, knownClass, KnownTypes } from '../../replies/known-types.js';

/** The part of `@nestjs/graphql` that is used. It is installed if there is a resolver. */
interface NestGraphql {
  readonly TypeMetadataStorage: { getObjectTypesMetadata(): Iterable<ObjectType> };
}

/** A class with `@ObjectType()`. */
interface ObjectType {
  readonly name: string;
  readonly target: ClassLike<object>;
}

/**
 * The classes of object types. GraphQL finds the member of a union by the class of an object, and
 * fields by its getters, so objects from a record get their classes back.
 */
@Injectable()
export class ObjectTypes implements OnModuleInit {
  private graphql: NestGraphql | undefined;
  private readonly known = new WeakMap<KnownTypes, KnownTypes>();

  constructor(private readonly handlers: HandlerRegistry) {}

  async onModuleInit(): Promise<void> {
    if (!this.handlers.has('graphql')) return;
    try {
      this.graphql = (await import('@nestjs/graphql')) as unknown as NestGraphql;
    } catch (cause) {
      throw notInstalled('mutations', '@nestjs/graphql', cause);
    }
  }

  /** What is known of a handler's values, and the object types of the schema. */
  with(types: KnownTypes): KnownTypes {
    let known = this.known.get(types);
    if (known === undefined) this.known.set(types, (known = this.added(types)));
    return known;
  }

  /** Complete once the schema is, which is before the first call. */
  private added(below: KnownTypes): KnownTypes {
    const types = new KnownTypes(below);
    const byName = new Map<string, ObjectType[]>();
    for (const type of this.graphql?.TypeMetadataStorage.getObjectTypesMetadata() ?? [])
      byName.set(type.name, [...(byName.get(type.name) ?? []), type]);
    for (const [name, [type, ...others]] of byName) {
      // Several schemas of the process may use a name.
      if (others.some(({ target }) => target !== type!.target)) continue;
      if (below.ofClass(type!.target)?.trust === 'named') continue;
      types.add({ ...knownClass(type!.target, 'schema', name)!, coversSubclasses: true });
    }
    return types;
  }
}
