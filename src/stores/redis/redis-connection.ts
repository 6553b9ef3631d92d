/** An argument of a command. */
export type Argument = string | Uint8Array;

/**
 * Listens to channels that have the names of keys. If a client changes keys, it changes both in the
 * same way.
 */
export interface Subscriber {
  /** Resolves once the server has subscribed, which may be once it can be reached. */
  subscribe(channel: string, onMessage: () => void): Promise<void>;
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
  /** `CONFIG GET`, or `undefined` if the server does not tell. */
  configuration(name: string): Promise<string | undefined>;
  /** Opens a separate connection, because one that subscribes can do nothing else. */
  openSubscriber(): Subscriber;
}

/** A view of the same bytes in the form that clients accept. */
export function asBuffer(argument: Argument): string | Buffer {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** The value in an answer of `CONFIG GET`: a list in RESP2, a map in RESP3. */
export function settingIn(answer: unknown, name: string): string | undefined {
  const value: unknown = Array.isArray(answer)
    ? answer[1]
    : (answer as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' ? value : undefined;
}
