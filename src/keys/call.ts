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
  /** The bytes as received, when the application was created with `rawBody: true`. */
  readonly rawBody?: Buffer;
  /** Who signed in, as guards put it there. */
  readonly user?: {
    readonly id?: Identifier;
    readonly sub?: Identifier;
    readonly [claim: string]: unknown;
  };
  readonly [property: string]: unknown;
}

/**
 * The kinds of calls, with the word for a handler of each. A transport that is added adds its own
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

/** One call of a protected handler, as key sources, `principal` and `fingerprint` see it. */
export interface IdempotentCall {
  /**
   * Where the call came in: `http`, `rpc` for a message, `graphql` for a field of a mutation, or
   * `method` for the method of a provider.
   */
  readonly type: string;
  /**
   * The framework's request. For a message its headers, with names in lower case, its payload as
   * `body` and the transport's `context`. For a field of a mutation the request that brought it, with
   * the field's arguments as `body` and GraphQL's `context`. Without any content for the method of a
   * provider.
   */
  readonly request: IncomingRequest;
  /** What the transport or its producer calls the message, where that tells messages apart. */
  readonly messageId?: string;
  /** What of the arguments a retry must repeat, where that is not all of them. */
  readonly content?: unknown;
  /** The arguments of the method of a provider. */
  readonly args?: readonly unknown[];
  /** `METHOD /route/template`, or the scope that the handler was given. */
  readonly scope: string;
  /** Who is calling, once that is known; `undefined` for an anonymous caller and in `principal` itself. */
  readonly principal: string | undefined;
}
