import { randomUUID } from 'node:crypto';
import type { LoggerService } from '@nestjs/common';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import type { CallConnection, IdempotentCall, IncomingRequest } from '../keys/call.js';
import { canonicalJson, NotComparableError } from '../keys/canonical-json.js';
import type { CredentialDigest } from '../keys/credentials.js';
import { sha256 } from '../keys/record-id.js';

type Headers = IncomingRequest['headers'];

/** What is known of a connection, by whatever keeps it. */
export interface OpenedConnection {
  /** Of socket.io. */
  readonly id?: unknown;
  /** The request that opened the connection. `ws` does not keep it. */
  readonly request?: { readonly headers?: Headers };
  /** Of socket.io: the same, with what the client sent beside it. */
  readonly handshake?: { readonly headers?: Headers; readonly auth?: unknown };
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

  /** @param socket what stands for the connection, if that is not the client */
  of(client: OpenedConnection, socket: object = client): Connection {
    let connection = this.known.get(socket);
    if (connection === undefined) {
      connection = new OpenConnection(client);
      this.known.set(socket, connection);
    }
    return connection;
  }
}

/** Warns once for each handler of clients that cannot be told apart from others but by their connections. */
export class NamelessClients {
  private readonly told = new WeakSet<ProtectedHandler>();

  constructor(
    private readonly credentials: CredentialDigest,
    private readonly logger: LoggerService,
  ) {}

  /** @param remedy where the application can say who they are */
  notice(
    call: Pick<IdempotentCall, 'request' | 'connection' | 'scope'>,
    handler: ProtectedHandler,
    remedy: string,
  ): void {
    const { request, connection, scope } = call;
    if (connection === undefined || !handler.isPrincipalAssumed || this.told.has(handler)) return;
    const { credentials, headers } = connection;
    if (this.credentials({ request, connection: { credentials, headers } }) !== undefined) return;
    this.told.add(handler);
    this.logger.warn(
      `${scope} got a call from a socket without a user and without credentials. Its replies are for this connection alone: after it reconnects, the client is refused. ${remedy}`,
    );
  }
}

class OpenConnection implements Connection {
  readonly headers: Headers;
  readonly id: string;
  private readonly auth: unknown;
  private digest: string | null | undefined;

  constructor({ id, handshake, request }: OpenedConnection) {
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
