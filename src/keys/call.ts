/** What identifies a person, a tenant or a client. */
export type Identifier = string | number | bigint;

/**
 * The parts of an incoming request that this library reads. Express and Fastify requests
 * have this shape; anything else that a guard or middleware put on the request is reachable
 * as `unknown`.
 */
export interface IncomingRequest {
  readonly method?: string;
  readonly url?: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
  /** The bytes as received, if the application was created with `rawBody: true`. */
  readonly rawBody?: Buffer;
  /** The user who signed in, where guards put it. */
  readonly user?: {
    readonly id?: Identifier;
    readonly sub?: Identifier;
    readonly [claim: string]: unknown;
  };
  readonly [property: string]: unknown;
}

/**
 * The kinds of calls, with the word for a handler of each. A new transport adds its own
 * (`declare module`).
 */
export interface CallKinds {
  http: 'route';
  rpc: 'message';
  graphql: 'mutation';
  method: 'method';
}

/** What calls a handler: a request, a message, a field of a mutation, or code that calls the method of a provider. */
export type CallKind = keyof CallKinds;

/** A connection over which calls come. It tells callers apart if their principal is not known. */
export interface CallConnection {
  /** A digest of what the client presented when it connected, beside headers; absent if nothing. */
  readonly credentials?: string;
  /** Never the same for two connections. It counts if there are no credentials at all. */
  readonly id?: string;
  /** Of the request that opened the connection. They hold credentials, but no keys. */
  readonly headers?: IncomingRequest['headers'];
}

/** One call of a protected handler, as key sources, `principal` and `fingerprint` see it. */
export interface IdempotentCall {
  /**
   * Where the call came from: `http`, `rpc` for a message, `graphql` for a field of a mutation, `ws`
   * for an event of a web socket, or `method` for a provider method.
   */
  readonly type: string;
  /**
   * The framework's request. For a message: its headers, with names in lower case, its payload as
   * `body`, and the transport's `context`. For a field of a mutation: the request that it came
   * with, the field's arguments as `body`, and GraphQL's `context`. For an event of a web socket: the headers of the
   * request that opened the connection, the event's data as `body`, the socket as `client`, and its
   * `user`. Empty for a provider method.
   */
  readonly request: IncomingRequest;
  /** The socket's connection. */
  readonly connection?: CallConnection;
  /** The message's id from the transport or the producer, if it identifies the message. */
  readonly messageId?: string;
  /** Which part of the arguments a retry must repeat, if not all of them. */
  readonly content?: unknown;
  /**
   * Which job of a queue the call is for: the same for every delivery of the job, although its data may
   * change.
   */
  readonly job?: string;
  /** The arguments of a provider method. */
  readonly args?: readonly unknown[];
  /** `METHOD /route/template`, or the scope that the handler was given. */
  readonly scope: string;
  /**
   * Who is calling, once that is known; `undefined` for an anonymous caller, and in the `principal`
   * function itself.
   */
  readonly principal: string | undefined;
}
