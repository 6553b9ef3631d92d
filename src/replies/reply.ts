/** One header as it went out; several values keep their order. */
export type HeaderField = readonly [name: string, value: string | readonly string[]];

/** What went out over HTTP. */
export interface HttpReply {
  readonly kind: 'http';
  readonly status: number;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
}

/** What a handler outside HTTP returned. */
export interface ValueReply {
  readonly kind: 'value';
  readonly value: unknown;
}

/** What a handler outside HTTP threw, where the error is the operation's result. */
export interface ErrorReply {
  readonly kind: 'error';
  readonly error: unknown;
}

/** The tombstone: the operation finished, its reply was not kept. */
export interface NotKept {
  readonly kind: 'not-kept';
}

/** What an operation ended with, as it is on record. */
export type Reply = HttpReply | ValueReply | ErrorReply | NotKept;

/** What a handler gave that answers with none or several values, where others give one. */
export class EmittedValues {
  constructor(readonly values: readonly unknown[]) {}

  /** A single value as itself, so that it is kept as what a handler returned. */
  static of(values: readonly unknown[]): unknown {
    return values.length === 1 ? values[0] : new EmittedValues(values);
  }

  static listOf(value: unknown): readonly unknown[] {
    return value instanceof EmittedValues ? value.values : [value];
  }
}

/** A value with the names of its objects' types, where whoever replays it has to know them. */
export class TypedValue {
  constructor(
    readonly value: unknown,
    /** The keys are objects in the value itself: they are kept, and come back, as the same ones. */
    readonly types: ReadonlyMap<object, string>,
  ) {}
}
