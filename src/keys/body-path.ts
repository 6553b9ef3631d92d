/** Values that a path ends at. */
type Leaf =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | null
  | undefined
  | Date
  | ((...args: never[]) => unknown);

/** Self-referencing types would have endless paths. */
type DeepestPath = 5;

/**
 * The names that lead to a member of a body of type `T`, outermost first. Any names when `T`
 * is not known.
 */
export type BodyPath<T, Above extends readonly unknown[] = []> = unknown extends T
  ? [string, ...string[]]
  : Above['length'] extends DeepestPath
    ? never
    : T extends Leaf
      ? never
      : T extends readonly (infer Element)[]
        ? [`${number}`] | [`${number}`, ...BodyPath<Element, [...Above, unknown]>]
        : {
            [Key in keyof T & string]:
              [Key] | [Key, ...BodyPath<NonNullable<T[Key]>, [...Above, unknown]>];
          }[keyof T & string];

/**
 * The same as text, names joined with dots. Lists on the way are left out: `'items.sku'` means
 * the `sku` of every item.
 */
export type DottedBodyPath<T, Above extends readonly unknown[] = []> = unknown extends T
  ? string
  : Above['length'] extends DeepestPath
    ? never
    : T extends Leaf
      ? never
      : T extends readonly (infer Element)[]
        ? DottedBodyPath<Element, [...Above, unknown]>
        : {
            [Key in keyof T & string]:
              Key | `${Key}.${DottedBodyPath<NonNullable<T[Key]>, [...Above, unknown]>}`;
          }[keyof T & string];
