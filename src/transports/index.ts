import type { Provider } from '@nestjs/common';
import { type Transport, TRANSPORTS, type Transports } from '../calls/transport.js';
import { ValueOperations } from '../calls/value-operations.js';
import { ERROR_FORM } from '../calls/value-call.js';
import { ENDPOINT_READERS, type EndpointReader } from '../handlers/endpoint.js';
import { fields } from './graphql/fields.js';
import { GraphqlErrors } from './graphql/graphql-errors.js';
import { GraphqlTransport } from './graphql/graphql-transport.js';
import { ObjectTypes } from './graphql/object-types.js';
import { HttpTransport } from './http/http-transport.js';
import { routes } from './http/routes.js';
import { CronJobs } from './method/cron-jobs.js';
import { METHOD_CALLER } from './method/instances.js';
import { MethodTransport } from './method/method-transport.js';
import { methods } from './method/methods.js';
import { GolevelupAnswers } from './rpc/golevelup-answers.js';
import { messages, messagesOfProviders } from './rpc/messages.js';
import { RmqServers } from './rpc/rmq-servers.js';
import { RpcErrors } from './rpc/rpc-errors.js';
import { RpcTransport } from './rpc/rpc-transport.js';
import { events } from './ws/events.js';
import { WsErrors } from './ws/ws-errors.js';
import { WsTransport } from './ws/ws-transport.js';

/**
 * How each transport finds its endpoints. Methods come last: whatever no framework calls is a
 * method.
 */
const READERS: readonly EndpointReader[] = [
  routes,
  messages,
  messagesOfProviders,
  fields,
  events,
  methods,
];

/** The transports within Nest's pipeline. */
const INTERCEPTED = [HttpTransport, RpcTransport, GraphqlTransport, WsTransport];

/** True for a method that a decorator on its class covers. */
export function changesState(method: unknown): boolean {
  return (
    typeof method === 'function' && READERS.some((reader) => reader.changesState?.(method) === true)
  );
}

/** Everything that the transports need, for the module. */
export const TRANSPORT_PROVIDERS: readonly Provider[] = [
  ...INTERCEPTED,
  GraphqlErrors,
  ObjectTypes,
  RpcErrors,
  RmqServers,
  GolevelupAnswers,
  WsErrors,
  CronJobs,
  MethodTransport,
  ValueOperations,
  { provide: METHOD_CALLER, useExisting: MethodTransport },
  { provide: ENDPOINT_READERS, useValue: READERS },
  { provide: ERROR_FORM, useExisting: GraphqlErrors },
  {
    provide: TRANSPORTS,
    inject: INTERCEPTED,
    useFactory: (...transports: Transport[]): Transports =>
      new Map(transports.map((transport) => [transport.kind, transport])),
  },
];
