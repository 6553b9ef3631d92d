import type { IncomingRequest } from '../../keys/call.js';
import type { EnteredCall } from '../operations.js';

type Headers = IncomingRequest['headers'];

/** What of GraphQL's context leads to the request: Apollo's `req`, Mercurius' `reply`. */
interface RequestContext {
  readonly req?: Partial<IncomingRequest>;
  readonly request?: Partial<IncomingRequest>;
  readonly reply?: { readonly request?: Partial<IncomingRequest> };
  readonly user?: IncomingRequest['user'];
}

/** Headers that describe the document, of which the field is only a part. */
const OF_DOCUMENT: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'transfer-encoding',
]);

/** A field of a mutation on its way to its resolver. */
export class FieldCall implements EnteredCall {
  readonly type = 'graphql';
  readonly request: IncomingRequest;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    args: unknown,
    context: unknown,
  ) {
    this.request = fieldRequest(args, context);
  }
}

/** The request that the document came with, but of its content only what this field was given. */
function fieldRequest(args: unknown, context: unknown): IncomingRequest {
  const { req, request, reply, user } = (context ?? {}) as RequestContext;
  const whole = req ?? request ?? reply?.request ?? {};
  const own = {
    headers: withoutDocument(whole.headers ?? {}),
    body: args,
    context,
    user: whole.user ?? user,
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
