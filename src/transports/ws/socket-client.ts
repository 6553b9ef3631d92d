import { randomUUID } from 'node:crypto';
import { canonicalJson, NotComparableError } from '../../keys/canonical-json.js';
import type { CallConnection, Identifier, IncomingRequest } from '../../keys/call.js';
import { sha256 } from '../../keys/record-id.js';

type Headers = IncomingRequest['headers'];
type User = IncomingRequest['user'];

/** The parts of a socket of socket.io, and of a `WebSocket` of `ws`, that are read. */
export interface SocketClient {
  readonly id?: unknown;
  /** Of socket.io: where applications put what they know about the socket. */
  readonly data?: { readonly user?: User; readonly userId?: Identifier };
  readonly user?: User;
  /** Of socket.io: the request that opened the connection. */
  readonly request?: { readonly headers?: Headers; readonly user?: User };
  /** Of socket.io. `ws` does not keep the request. */
  readonly handshake?: { readonly headers?: Headers; readonly auth?: unknown };
  /** Of socket.io: its namespace. */
  readonly nsp?: { readonly name?: string };
  /** Of socket.io. */
  readonly connected?: boolean;
  /** Of `ws`. */
  readonly readyState?: number;
}

/** `WebSocket.OPEN`. */
const OPEN = 1;

/** True if nothing that is sent to the client can arrive any more. */
export function isGone({ connected, readyState }: SocketClient): boolean {
  return connected === false || (typeof readyState === 'number' && readyState !== OPEN);
}

/**
 * Who uses the socket, where applications put it once they know: `socket.data.user` or
 * `socket.data.userId`, `client.user`, and `request.user` of the request that opened the connection.
 * What the client itself sent (`handshake.auth`) proves nothing.
 */
export function userOf({ data, user, request }: SocketClient): User {
  const known = data?.user ?? user ?? request?.user;
  if (known !== undefined && known !== null) return known;
  const userId = data?.userId;
  return userId === undefined || userId === null ? undefined : { userId };
}

/** Headers that describe the content of a request, which is not that of the events. */
const OF_CONTENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'transfer-encoding',
]);

/** What every event of one socket has in common. */
export interface Connection extends CallConnection {
  /** Of the request that opened the connection. */
  readonly headers: Headers;
}

/** Remembers sockets, so that nothing is computed for their second event. */
export class Connections {
  private readonly known = new WeakMap<object, Connection>();

  of(client: SocketClient): Connection {
    let connection = this.known.get(client);
    if (connection === undefined) {
      connection = new OpenConnection(client);
      this.known.set(client, connection);
    }
    return connection;
  }
}

class OpenConnection implements Connection {
  readonly headers: Headers;
  readonly id: string;
  private readonly auth: unknown;
  private digest: string | null | undefined;

  constructor({ id, handshake, request }: SocketClient) {
    const headers = handshake?.headers ?? request?.headers ?? {};
    this.headers = Object.fromEntries(
      Object.entries(headers).filter(([name]) => !OF_CONTENT.has(name)),
    );
    // socket.io draws it, and keeps it for a connection that it recovers. On `ws` anything may be there.
    this.id = handshake !== undefined && typeof id === 'string' ? id : randomUUID();
    this.auth = handshake?.auth;
  }

  /** Only needed for clients whose user is not known. */
  get credentials(): string | undefined {
    if (this.digest === undefined) this.digest = digestOf(this.auth) ?? null;
    return this.digest ?? undefined;
  }
}

function digestOf(auth: unknown): string | undefined {
  if (typeof auth !== 'object' || auth === null || Object.keys(auth).length === 0) return undefined;
  try {
    return sha256(canonicalJson(auth));
  } catch (error) {
    // Then the connection itself tells the client apart.
    if (error instanceof NotComparableError) return undefined;
    throw error;
  }
}
