/** One header as it went out; several values keep their order. */
export type HeaderField = readonly [name: string, value: string | readonly string[]];

/**
 * How the body was handed over, where hooks of the framework see it before it is sent: as text, as a
 * stream, as nothing. `raw`: it was written past them. Otherwise it was bytes.
 */
export type BodyForm = 'text' | 'stream' | 'none' | 'raw';

/** What went out over HTTP. */
export interface HttpReply {
  readonly kind: 'http';
  readonly status: number;
  readonly headers: readonly HeaderField[];
  readonly body: Uint8Array;
  readonly form: BodyForm | undefined;
  /** Header fields after the body. */
  readonly trailers: readonly HeaderField[];
  /** The handler did not send it: `settle()` or `onAbandoned` gave it. */
  readonly isGiven: boolean;
}

/** What a handler outside HTTP returned. */
export interface ValueReply {
  readonly kind: 'value';
  readonly value: unknown;
}

/** What a handler outside HTTP threw, if the error is the operation's result. */
export interface ErrorReply {
  readonly kind: 'error';
  readonly error: unknown;
}

/** The tombstone: the operation finished, its reply was not kept. */
export interface NotKept {
  readonly kind: 'not-kept';
}

/** How an operation ended, as it is recorded. */
export type Reply = HttpReply | ValueReply | ErrorReply | NotKept;

/** The values of a handler that emitted none or several, where others return one. */
export class EmittedValues {
  constructor(readonly values: readonly unknown[]) {}

  /** A single value is returned as it is, so that it is kept like the value of any handler. */
  static of(values: readonly unknown[]): unknown {
    return values.length === 1 ? values[0] : new EmittedValues(values);
  }

  static listOf(value: unknown): readonly unknown[] {
    return value instanceof EmittedValues ? value.values : [value];
  }
}

/** What callers see of an error, where that is less than the error: the data of a transport's form. */
export class ShapedError {
  constructor(readonly data: unknown) {}
}
