import { Connections, type OpenedConnection } from '../../calls/connections.js';
import type { TransportCall } from '../../calls/operations.js';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { Boot, HostedMethod, Endpoint, EndpointReader } from '../../handlers/endpoint.js';
import type { CallConnection, IncomingRequest } from '../../keys/call.js';
import type { FieldInfo } from './schema-place.js';

/**
 * The metadata that decorators of `@nestjs/graphql` leave on a method, and `@Resolver()` on its
 * class.
 */
const TYPE = 'graphql:resolver_type';
const NAME = 'graphql:resolver_name';
const IS_PROPERTY = 'graphql:resolve_property';
const IS_REFERENCE = 'graphql:resolve_reference';

const MUTATION = 'Mutation';
const READING: ReadonlySet<unknown> = new Set(['Query', 'Subscription']);

/** Finds the fields that resolver methods resolve. */
export const fields: EndpointReader = {
  kind: 'graphql',
  word: 'mutation',
  hosts: 'providers',
  read: fieldEndpoint,
  answers: (hosted) => (isMutation(hosted.method) ? [scopeOf(hosted)] : []),
  changesState: isMutation,
  isHost: (type) => Reflect.hasMetadata(TYPE, type),
};

/**
 * The field that a provider method resolves; `undefined` if it resolves none.
 *
 * @throws {@link IdempotencyConfigurationError} for a field that cannot be protected
 */
function fieldEndpoint(hosted: HostedMethod, boot: Boot): Endpoint | 'safe' | undefined {
  const { type, name, method } = hosted;
  if (Reflect.hasMetadata(IS_PROPERTY, method) || Reflect.hasMetadata(IS_REFERENCE, method))
    throw fieldOfObject(name);
  // As in Nest, the class may declare it for all its methods.
  const root: unknown = Reflect.getMetadata(TYPE, method) || Reflect.getMetadata(TYPE, type);
  if (READING.has(root)) {
    boot.warn(
      `@Idempotent() on ${name} has no effect: a ${String(root)} does not change state and ignores keys.`,
    );
    return 'safe';
  }
  if (root !== MUTATION) return undefined;
  return { kind: 'graphql', scopes: [scopeOf(hosted)], answersValues: true };
}

/** True for a method with `@Mutation()`. */
function isMutation(method: object): boolean {
  return Reflect.getMetadata(TYPE, method) === MUTATION;
}

function scopeOf({ method, methodName }: HostedMethod): string {
  const field = (Reflect.getMetadata(NAME, method) as string | undefined) ?? String(methodName);
  return `${MUTATION}.${field}`;
}

function fieldOfObject(name: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    `${name}, which resolves a field of an object`,
    'mutations, which change state once for a request',
    'Put @Idempotent() on the mutation, or on the method of a service that it calls.',
  );
}

type Headers = IncomingRequest['headers'];

/**
 * The members of GraphQL's context that lead to the request: Apollo's `req`, Mercurius' `reply`.
 */
interface RequestContext extends SocketContext {
  readonly req?: Whole;
  readonly request?: Whole;
  readonly reply?: { readonly request?: Whole };
  readonly user?: IncomingRequest['user'];
}

type Whole = Partial<IncomingRequest> & SocketContext;

/**
 * What stands for a web socket, the same object for each document that comes over it: the context of
 * `graphql-ws`, which Nest passes on as `req`. Of Mercurius, the request that opened the socket.
 */
interface SocketContext {
  readonly extra?: {
    readonly request?: OpenedConnection['request'];
    readonly user?: IncomingRequest['user'];
  };
  readonly connectionParams?: unknown;
  /** Of `@fastify/websocket`. */
  readonly ws?: unknown;
}

const sockets = new Connections();

/** The web socket over which a document came; `undefined` for one that came with a request. */
function socketOf(whole: Whole, context: RequestContext): CallConnection | undefined {
  if (whole.ws === true)
    return sockets.of({ request: whole as OpenedConnection['request'] }, whole);
  const socket = [whole, context].find(({ extra }) => typeof extra === 'object' && extra !== null);
  if (socket === undefined) return undefined;
  const { extra, connectionParams: auth } = socket;
  const handshake = { headers: extra!.request?.headers, auth };
  return sockets.of({ handshake }, extra);
}

/** Headers that describe the document, of which the field is only a part. */
const OF_DOCUMENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'transfer-encoding',
]);

/** A field of a mutation on its way to its resolver. */
export class FieldCall implements TransportCall {
  readonly type = 'graphql';
  readonly request: IncomingRequest;
  readonly connection: CallConnection | undefined;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    args: unknown,
    context: unknown,
    readonly info: FieldInfo,
  ) {
    const known = (context ?? {}) as RequestContext;
    const { req, request, reply } = known;
    const whole = req ?? request ?? reply?.request ?? {};
    this.connection = socketOf(whole, known);
    // The headers of a connection are not those of what comes over it.
    const headers = this.connection === undefined ? whole.headers : undefined;
    this.request = fieldRequest(whole, { headers, args, context }, known);
  }
}

/** The request that brought the document, but with only this field's arguments as its content. */
function fieldRequest(
  whole: Whole,
  { headers = {}, args, context }: { headers?: Headers; args: unknown; context: unknown },
  { user, extra }: RequestContext,
): IncomingRequest {
  const own = {
    headers: withoutDocument(headers),
    body: args,
    context,
    user: whole.user ?? user ?? whole.extra?.user ?? extra?.user,
    method: undefined,
    url: undefined,
    params: undefined,
    query: undefined,
    rawBody: undefined,
  };
  return Object.create(whole, Object.getOwnPropertyDescriptors(own)) as IncomingRequest;
}

function withoutDocument(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_DOCUMENT.has(name)));
}
