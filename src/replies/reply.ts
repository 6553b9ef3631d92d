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
