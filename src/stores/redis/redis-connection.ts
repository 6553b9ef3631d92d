import { isUtf8 } from 'node:buffer';

/** An argument of a command. */
export type Argument = string | Uint8Array;

/**
 * How a process listens to a channel: like everybody (`p`), or only on the shard that has the key
 * (`s`). Left on a record, it tells the owner how to publish the change.
 */
export type Mark = 'p' | 's';

/**
 * Listens to channels that have the names of keys. If a client changes keys, it changes both in the
 * same way.
 */
export interface Subscriber {
  /** Resolves once the server has subscribed, which may be once it can be reached. */
  subscribe(channel: string, onMessage: (message: string) => void): Promise<Mark>;
  unsubscribe(channel: string): Promise<void>;
  /** Closes at once, even while it is still connecting. */
  close(): void;
}

/** What the store needs from a client of any library. Replies come as bytes. */
export interface RedisConnection {
  /** True when keys may be on different nodes. */
  readonly isCluster: boolean;
  evalsha(sha1: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  eval(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** `INFO` of one node, as text. */
  info(section: string): Promise<string>;
  /**
   * Opens a separate connection, because one that subscribes can do nothing else.
   *
   * @throws Error if the client cannot subscribe
   */
  openSubscriber(): Subscriber;
}

/** A view of the same bytes in the form that clients accept. */
export function asBuffer(argument: Argument): string | Buffer {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** Longer texts cost a client no less than bytes do. */
const MOST_AS_TEXT = 4_096;

/**
 * As text, if that is the same bytes on the wire: clients write a command of texts alone in one piece, and
 * faster. Records that are encrypted, and some others, are no text.
 */
export function asText(argument: Argument): string | Buffer {
  const bytes = asBuffer(argument);
  return typeof bytes !== 'string' && bytes.byteLength <= MOST_AS_TEXT && isUtf8(bytes)
    ? bytes.toString()
    : bytes;
}

/** True for a command that the server, or a proxy before it, does not have. */
export function isUnknownCommand(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('ERR unknown command');
}
