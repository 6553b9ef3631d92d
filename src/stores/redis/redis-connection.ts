/** An argument of a command. */
export type Argument = string | Uint8Array;

/** Listens to channels that are called like keys; a client that changes keys changes both alike. */
export interface Subscriber {
  /** Resolves when the server listens, which may take until it is there. */
  subscribe(channel: string, onMessage: () => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
  /** Also while it still connects; waits for nothing. */
  close(): void;
}

/** What the store needs of a client, whichever library it is from. Replies come as bytes. */
export interface RedisConnection {
  /** True when keys may be on different nodes. */
  readonly isCluster: boolean;
  evalsha(sha1: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  eval(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** `INFO` of one node, as text. */
  info(section: string): Promise<string>;
  /** `CONFIG GET`, or `undefined` where the server does not tell. */
  configuration(name: string): Promise<string | undefined>;
  /** A connection of its own: one that subscribes can do nothing else. */
  openSubscriber(): Subscriber;
}

/** A view of the same bytes in the form that clients take. */
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
