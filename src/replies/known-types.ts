/** A class, for the members that are read of it. */
export interface ClassLike<Instance> {
  readonly name?: string;
  readonly prototype: Instance;
}

/** A class whose instances replies keep, and how. Made by {@link replyType}. */
export interface ReplyType {
  /** Its name in records. Changing it makes the records that have it unreadable. */
  readonly name: string;
  readonly class: ClassLike<object>;
  /** What is kept of an instance; absent keeps its properties. */
  toData?(instance: never): unknown;
  /** Makes an equal instance from what was kept. */
  fromData?(data: never): unknown;
}

/** A class, or a {@link replyType}. */
export type ReturnedClass = ClassLike<object> | ReplyType;

/**
 * Describes a class whose instances come back from a record as they were, for the module option
 * `types` and the handler option `returns`. The data may be any value that a reply keeps.
 * `fromData` must make an equal instance of it. Without both functions, the instance's properties
 * are kept, and its constructor is not called.
 *
 * @example
 * ```ts
 * replyType({ name: 'decimal', class: Decimal, toData: String, fromData: (text) => new Decimal(text) })
 * ```
 */
export function replyType<Instance extends object, Data>(type: {
  readonly name: string;
  readonly class: ClassLike<Instance>;
  readonly toData: (instance: Instance) => Data;
  readonly fromData: (data: Data) => Instance;
}): ReplyType;
export function replyType<Instance extends object>(type: {
  readonly name: string;
  readonly class: ClassLike<Instance>;
}): ReplyType;
export function replyType(type: ReplyType): ReplyType {
  return type;
}

/** How much of an instance may be kept by its properties alone. */
export type Trust =
  /** The application named the class, so accessors and `toJSON()` of the class are no obstacle. */
  | 'named'
  /** The schema reads its accessors, and `toJSON()` counts for nothing. */
  | 'schema'
  /** Instances that are only data. */
  | 'data';

/** A class that replies know. */
export interface KnownType {
  readonly name: string;
  readonly class: ClassLike<object>;
  readonly trust: Trust;
  readonly toData?: (instance: object) => unknown;
  readonly fromData?: (data: unknown) => unknown;
  /** Instances of subclasses come back as instances of this class. */
  readonly coversSubclasses?: boolean;
}

/** The classes that replies know: by their instances to keep them, by name to restore them. */
export class KnownTypes {
  private readonly byPrototype = new Map<object, KnownType>();
  private readonly byName = new Map<string, KnownType>();
  private hasFamilies = false;

  /** @param below what is known besides; the types added here come first */
  constructor(private readonly below?: KnownTypes) {}

  /**
   * From now on, the class is known. If its name is taken by another class, instances of this one
   * stay unknown, because a record could not tell them apart.
   */
  add(type: KnownType): void {
    const { prototype } = type.class;
    const other = this.byName.get(type.name);
    if (other !== undefined && other.class.prototype !== prototype) return;
    if (this.byPrototype.has(prototype)) return;
    this.byPrototype.set(prototype, type);
    this.byName.set(type.name, type);
    this.hasFamilies ||= type.coversSubclasses === true;
  }

  ofName(name: string): KnownType | undefined {
    return this.byName.get(name) ?? this.below?.ofName(name);
  }

  ofClass({ prototype }: ClassLike<object>): KnownType | undefined {
    return this.exactly(prototype);
  }

  /** The type of an instance: of exactly this class, or of one that covers its subclasses. */
  ofInstance(object: object): KnownType | undefined {
    let prototype = Object.getPrototypeOf(object) as object | null;
    if (prototype === null) return undefined;
    const exact = this.exactly(prototype);
    if (exact !== undefined || !this.coversFamilies()) return exact;
    for (;;) {
      prototype = Object.getPrototypeOf(prototype) as object | null;
      if (prototype === null) return undefined;
      const family = this.exactly(prototype);
      if (family?.coversSubclasses === true) return family;
    }
  }

  private exactly(prototype: object): KnownType | undefined {
    const own = this.byPrototype.get(prototype);
    if (own !== undefined) return own;
    const below = this.below?.exactly(prototype);
    // Its name would be read as that of another class.
    return below !== undefined && this.ofName(below.name) === below ? below : undefined;
  }

  private coversFamilies(): boolean {
    return this.hasFamilies || this.below?.coversFamilies() === true;
  }
}

/** The known type that an application described. */
export function named(type: ReplyType): KnownType {
  const { name, class: known } = type;
  if (type.toData === undefined) return { name, class: known, trust: 'named' };
  return {
    name,
    class: known,
    trust: 'named',
    toData: (instance) => type.toData!(instance as never),
    fromData: (data) => type.fromData!(data as never),
  };
}

/** How bundlers keep the names of classes. */
export const KEEP_NAMES =
  'keepNames of esbuild, keep_classnames of Terser and SWC (minify options of the bundler)';

/** Nothing but its name is used. */
class NameThatABundlerKeeps {}

/**
 * False in a bundle that shortens the names of classes. It may shorten them otherwise the next time, so
 * no record may depend on one. A bundler that only tells equal names apart appends a number.
 */
export function keepsClassNames(): boolean {
  return NameThatABundlerKeeps.name.startsWith('NameThatABundlerKeeps');
}

/** A class known by its own name, whose instances keep their properties. */
export function knownClass(
  type: ClassLike<object>,
  trust: Trust,
  name = type.name,
): KnownType | undefined {
  return name === undefined || name === '' ? undefined : { name, class: type, trust };
}
