/**
 * What a stand-in in a record stands for. Anything without a mark is kept as itself.
 * - `bare`: an object without a prototype;
 * - `class`: an instance of a known class, with its properties;
 * - `type`: an instance of a known type, with what its `toData` made as `data`;
 * - `transformed`: an instance of a known class, with its plain form as `data`;
 * - `error`: an error, with its message and the like, and its class if that is known;
 * - `leaf`: what a scalar of the schema made of a value, as `data`;
 * - the rest: an object of that built-in class, with what makes it as `data`.
 */
export const MARKS = [
  'bare',
  'class',
  'type',
  'transformed',
  'error',
  'leaf',
  'url',
  'search-params',
  'dom-exception',
  'regexp',
  'symbol',
  'boxed-symbol',
] as const;

export type Mark = (typeof MARKS)[number];

/** A stand-in, what it stands for, and the name of a type if that has one. */
export type Marked = readonly [standIn: object, mark: Mark, name?: string];

/** What stands in for an error. */
export interface ErrorData {
  /** Absent if it is among the members, or inherited. */
  readonly message?: string;
  readonly stack?: string;
  /** Its other members: own properties, and `cause` and `errors`. */
  readonly members: object;
  /** Of the members, those that are not enumerable. */
  readonly hidden: readonly string[];
}

/** Symbols that are the same in every process, by their names. */
export const WELL_KNOWN: ReadonlyMap<string, symbol> = new Map(
  Reflect.ownKeys(Symbol)
    .map((key) => [String(key), (Symbol as unknown as Record<PropertyKey, unknown>)[key]] as const)
    .filter((entry): entry is readonly [string, symbol] => typeof entry[1] === 'symbol'),
);

/** Sets a member, also one with the name `__proto__`. */
export function setMember(object: object, key: PropertyKey, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  else (object as Record<PropertyKey, unknown>)[key] = value;
}
