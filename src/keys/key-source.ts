import type { Awaitable } from '../engine/awaitable.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { CallKind, IdempotentCall } from './call.js';
import type { CredentialDigest } from './credentials.js';

/** What a key source may need to know about the module and the method. */
export interface KeyContext {
  /** The module's header name, in any case. */
  readonly headerName: string;
  /** What calls the method; absent if that is not known. */
  readonly kind?: CallKind;
  /** Tells callers apart if their principal is not known. */
  readonly credentials?: CredentialDigest;
  /** The timer that calls the method, if one does. */
  readonly schedule?: Schedule;
  /** Reads what counts as the content of a call; absent if all of it does. */
  readonly content?: (call: IdempotentCall) => Awaitable<unknown>;
}

/** The timer that calls a method. */
export interface Schedule {
  /**
   * The tick that a call belongs to, both in milliseconds since 1970; absent if each process has
   * its own ticks.
   *
   * @throws {@link InvalidKeyError} if the timer does not exist
   */
  readonly dueAt?: (nowMs: number) => Awaitable<number>;
}

/** A place in a request, as API descriptions name it. */
export interface KeyPlace {
  readonly in: 'header' | 'query' | 'path' | 'body';
  /** The name of the header or parameter, or the path to a member of the body, joined with dots. */
  readonly name: string;
  /** What a client must put there; absent for an ordinary part of the key. */
  readonly description?: string;
}

/**
 * Where the key, or a part of it, comes from. Made by `header()`, `body()`, `param()`, `query()`,
 * `payload()`, `messageId()`, `arg()`, `tick()`, `principal()`, `signature()`, `webhookEvent()`,
 * `cloudEventId()` or {@link keySource}.
 */
export interface KeySource {
  /** Its name in errors and API descriptions, such as `header Idempotency-Key`. */
  readonly description: string;
  /**
   * True if guards can read it: it only needs the request line and headers, and `read` returns no
   * promise.
   */
  readonly readsOnlyHead: boolean;
  /** True if the key is made from the content itself, so that a retry cannot differ from it. */
  readonly coversContent: boolean;
  /**
   * The kinds of calls that can have it. On a handler of other calls the application refuses to
   * boot. Absent: all of them.
   */
  readonly foundIn?: readonly CallKind[];
  /**
   * For API descriptions: where a client puts it. Several places are alternatives. Absent if
   * clients do not send it.
   */
  readonly sentIn?: readonly [KeyPlace, ...KeyPlace[]];
  /** For API descriptions: true if every call has it. */
  readonly isNeverMissing?: boolean;
  /** For API descriptions: refusals that only this source has. */
  readonly refusals?: readonly IdempotencyErrorCode[];
  /** For API descriptions: true if `read` never throws. */
  readonly isNeverInvalid?: boolean;
  /**
   * The part of the key, or `undefined` if the call has none.
   *
   * @throws {@link InvalidKeyError} if there is one that cannot be a key
   */
  read(call: IdempotentCall): Awaitable<string | undefined>;
  /**
   * What a retry must repeat, instead of the body or the arguments. Absent, or `undefined` for a call:
   * all of it.
   */
  content?(call: IdempotentCall): unknown;
  /** What it stands for, in whatever form it has. Absent: the part of the key is all that there is. */
  value?(call: IdempotentCall): unknown;
  /**
   * When the call was sent for the first time, in milliseconds since 1970, if the client says so. Absent: a
   * part of the key that is a UUIDv7 says when it was made, for the option `maxAge`.
   *
   * @throws {@link InvalidKeyError} for something that is no time
   */
  sentAt?(call: IdempotentCall): number | undefined;
  /** Statuses over HTTP that refusals have with this key, where they differ from the table. */
  readonly statuses?: Readonly<Partial<Record<IdempotencyErrorCode, number>>>;
  /** A header of every reply over HTTP that says whether the call was accepted. */
  readonly result?: {
    readonly header: string;
    readonly accepted: string;
    readonly refused: string;
  };
  /** True if it proves who has sent the call, so that no credentials are needed to tell callers apart. */
  readonly tellsCallers?: boolean;
  /** Called once at boot. The source that it returns replaces this one. */
  resolve?(context: KeyContext): KeySource;
}

/** A function that returns the key. Numbers count as their decimal digits. */
export type KeyFunction = (
  call: IdempotentCall,
) => Awaitable<string | number | bigint | null | undefined>;

/** A source, a function, or a list of them that must all be present. */
export type KeyDeclaration = KeySource | KeyFunction | readonly (KeySource | KeyFunction)[];

/** A key declaration in the form that calls use. Made by `resolveKey()`. */
export interface ResolvedKey {
  /** The sources in their order, such as `header X-Client-Id + body.serialNo`. */
  readonly description: string;
  /** In their order. */
  readonly sources: readonly KeySource[];
  /** See {@link KeySource.readsOnlyHead}; true if it is true of every part. */
  readonly readsOnlyHead: boolean;
  /** See {@link KeySource.coversContent}; true if it is true of one part. */
  readonly coversContent: boolean;
  /** See {@link KeySource.tellsCallers}; true if it is true of one part. */
  readonly tellsCallers: boolean;
  /**
   * The key, or `undefined` if a part of it is missing. Returns no promise if no source does.
   *
   * @throws {@link InvalidKeyError} if a part is present but cannot be used
   */
  read(call: IdempotentCall): Awaitable<string | undefined>;
}

const BRAND = Symbol.for('nestjs-idempotency:invalid-key');

/** A key is present but cannot be used. The message says why and never shows the key. */
export class InvalidKeyError extends Error {
  override readonly name = 'InvalidKeyError';
  /** The refusal, if it is not that of the strategy. */
  readonly code?: IdempotencyErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for errors of this class, even from another copy of this package (ESM beside CJS). */
export function isInvalidKeyError(error: unknown): error is InvalidKeyError {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/** Values at which a path ends. */
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
 * The names that lead to a member of a body of type `T`, outermost first. Any names if `T` is not
 * known.
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
 * The same as text, with the names joined by dots. Lists on the way are left out: `'items.sku'`
 * means the `sku` of every item.
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
