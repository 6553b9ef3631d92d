import type { Connection, OpenedConnection } from '../../calls/connections.js';
import type { TransportCall } from '../../calls/operations.js';
import type { Endpoint, EndpointReader, HostedMethod } from '../../handlers/endpoint.js';
import type { CallConnection, Identifier, IncomingRequest } from '../../keys/call.js';
import { canonicalJson } from '../../keys/canonical-json.js';
import type { Acknowledgement } from './acknowledgement.js';

declare module '../../keys/call.js' {
  interface CallKinds {
    ws: 'socket';
  }
}

/** The metadata that `@SubscribeMessage()` leaves on a method, and `@WebSocketGateway()` on its class. */
const IS_HANDLER = 'websockets:message_mapping';
const EVENT = 'message';
const IS_GATEWAY = 'websockets:is_gateway';
const OPTIONS = 'websockets:gateway_options';

/** Finds the events of web sockets that gateways handle. */
export const events: EndpointReader = {
  kind: 'ws',
  word: 'socket',
  hosts: 'providers',
  read: eventEndpoint,
  answers: (hosted) => (isHandler(hosted.method) ? [scopeOf(hosted, placeOf(hosted.type))] : []),
  changesState: isHandler,
  isHost: isGateway,
};

/** The event that a method of a gateway handles; `undefined` if it handles none. */
function eventEndpoint(hosted: HostedMethod): Endpoint | undefined {
  const { type, method } = hosted;
  if (!isGateway(type) || !isHandler(method)) return undefined;
  const scopes = [scopeOf(hosted, placeOf(type))];
  const scopeOfRequest = ({ params }: IncomingRequest): string =>
    scopeOf(hosted, (params as NamespaceParams).namespace);
  const scopeOfAny = hasManyNamespaces(type) ? scopeOfRequest : undefined;
  return { kind: 'ws', scopes, scopeOf: scopeOfAny, answersValues: true };
}

/** True for a method with `@SubscribeMessage()`. */
function isHandler(method: object): boolean {
  return Reflect.getMetadata(IS_HANDLER, method) === true;
}

function isGateway(type: NewableFunction): boolean {
  return Reflect.getMetadata(IS_GATEWAY, type) === true;
}

function scopeOf({ name, method }: Pick<HostedMethod, 'name' | 'method'>, place: string): string {
  const event: unknown = Reflect.getMetadata(EVENT, method);
  const text = typeof event === 'string' ? event : canonicalJson(event);
  return `${place === '' ? '' : `${place} `}${text} ${name}`;
}

interface GatewayOptions {
  readonly namespace?: unknown;
  readonly path?: unknown;
}

function optionsOf(type: NewableFunction): GatewayOptions {
  return (Reflect.getMetadata(OPTIONS, type) ?? {}) as GatewayOptions;
}

/**
 * Where clients connect: the namespace, else the path. The port is left out, because a move to
 * another one would lose all records.
 */
function placeOf(type: NewableFunction): string {
  const { namespace, path } = optionsOf(type);
  if (namespace instanceof RegExp) return String(namespace);
  if (typeof namespace === 'string') return rooted(namespace);
  return typeof path === 'string' ? rooted(path) : '';
}

function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

/** True for a gateway whose clients name their namespace, such as `/tenant-7`. Each has its own keys. */
export function hasManyNamespaces(type: NewableFunction): boolean {
  const { namespace } = optionsOf(type);
  return namespace !== undefined && namespace !== null && typeof namespace !== 'string';
}

/** The part of the content that a namespace is, if the gateway has many. */
interface NamespaceParams {
  readonly namespace: string;
}

type User = IncomingRequest['user'];

/** The parts of a socket of socket.io, and of a `WebSocket` of `ws`, that are read. */
export interface SocketClient extends OpenedConnection {
  /** Of socket.io: where applications put what they know about the socket. */
  readonly data?: { readonly user?: User; readonly userId?: Identifier };
  readonly user?: User;
  /** Of socket.io: the request that opened the connection. */
  readonly request?: OpenedConnection['request'] & { readonly user?: User };
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

/** An event on its way to its handler. */
export class EventCall implements TransportCall {
  readonly type = 'ws';
  readonly request: IncomingRequest;
  readonly connection: CallConnection;
  principal: string | undefined;
  key: string | undefined;
  /** What the client sent, as Nest shows it in errors. */
  sent: { readonly pattern: string; readonly data: unknown } | undefined;
  /** How the client waits for its acknowledgement, if it does. */
  acknowledgement: Acknowledgement | undefined;

  /**
   * @param ofMany the gateway has many namespaces
   */
  constructor(
    public scope: string,
    data: unknown,
    readonly client: SocketClient,
    connection: Connection,
    ofMany: boolean,
  ) {
    this.connection = connection;
    const { headers } = connection;
    const params = ofMany
      ? ({ namespace: client.nsp?.name ?? '' } satisfies NamespaceParams)
      : undefined;
    this.request = { headers, params, body: data, client, user: userOf(client) };
  }
}
