import type { Awaitable } from '../engine/awaitable.js';
import type { CallKind, IdempotentCall } from './call.js';
import type { CredentialDigest } from './credentials.js';

/** What a key source may have to know of the module and of the method. */
export interface KeyContext {
  /** The module's header name, in any case. */
  readonly headerName: string;
  /** What calls the method; absent where that is not known. */
  readonly kind?: CallKind;
  /** Tells callers apart whose principal is not known. */
  readonly credentials?: CredentialDigest;
  /** Absent for a method that no timer calls. */
  readonly schedule?: Schedule;
}

/** The timer that calls a method. */
export interface Schedule {
  /**
   * The moment of the tick that a call belongs to, both in milliseconds since 1970; absent where the
   * moments of one process mean nothing to another.
   *
   * @throws {@link InvalidKeyError} when the timer is not there
   */
  readonly dueAt?: (nowMs: number) => Awaitable<number>;
}

/** A place in a request, as API descriptions name it. */
export interface KeyPlace {
  readonly in: 'header' | 'query' | 'path' | 'body';
  /** Of the header or parameter, or the names that lead to a member of the body, joined with dots. */
  readonly name: string;
  /** What a client has to put there; absent for a part of the key like any other. */
  readonly description?: string;
}

/**
 * Where (a part of) the key comes from. Made by `header()`, `body()`, `param()`, `query()`,
 * `payload()`, `messageId()`, `arg()`, `tick()`, `principal()`, `signature()` or {@link keySource}.
 */
export interface KeySource {
  /** Named in errors and API descriptions, such as `header Idempotency-Key`. */
  readonly description: string;
  /**
   * True when guards can read it: nothing but the request line and its headers is needed, and
   * `read` answers without a promise.
   */
  readonly readsOnlyHead: boolean;
  /** True when the key is made of the content itself, so that a retry cannot differ from it. */
  readonly coversContent: boolean;
  /**
   * The kinds of calls that can have it: a handler of other calls would never run, and does not boot.
   * Absent: all of them.
   */
  readonly foundIn?: readonly CallKind[];
  /**
   * For API descriptions: where a client puts it, several places being alternatives. Absent when no
   * client does.
   */
  readonly sentIn?: readonly [KeyPlace, ...KeyPlace[]];
  /** For API descriptions: true when no call is without it. */
  readonly isNeverMissing?: boolean;
  /** For API descriptions: true when `read` never throws. */
  readonly isNeverInvalid?: boolean;
  /**
   * The part of the key, or `undefined` when the call has none.
   *
   * @throws {@link InvalidKeyError} when there is one that cannot be a key
   */
  read(call: IdempotentCall): Awaitable<string | undefined>;
  /** Called once at boot; the source that it answers with takes this one's place. */
  resolve?(context: KeyContext): KeySource;
}

/** A function that an application gives as key. Numbers count as their decimal digits. */
export type KeyFunction = (
  call: IdempotentCall,
) => Awaitable<string | number | bigint | null | undefined>;

/** One source, a function, or a list of them of which all must be there. */
export type KeyDeclaration = KeySource | KeyFunction | readonly (KeySource | KeyFunction)[];

/** A key declaration as the request path uses it. Made by `resolveKey()`. */
export interface ResolvedKey {
  /** The sources in their order, such as `header X-Client-Id + body.serialNo`. */
  readonly description: string;
  /** In their order. */
  readonly sources: readonly KeySource[];
  /** See {@link KeySource.readsOnlyHead}; true when it is of every part. */
  readonly readsOnlyHead: boolean;
  /** See {@link KeySource.coversContent}; true when it is of one part. */
  readonly coversContent: boolean;
  /**
   * The key, or `undefined` when a part of it is missing. Answers without a promise when every
   * source does.
   *
   * @throws {@link InvalidKeyError} when a part is there that cannot be one
   */
  read(call: IdempotentCall): Awaitable<string | undefined>;
}

const BRAND = Symbol.for('nestjs-idempotency:invalid-key');

/** A key that is there but cannot be used. The message says why and never shows the key. */
export class InvalidKeyError extends Error {
  override readonly name = 'InvalidKeyError';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for errors of this class, also from another copy of this package (ESM beside CJS). */
export function isInvalidKeyError(error: unknown): error is InvalidKeyError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

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
