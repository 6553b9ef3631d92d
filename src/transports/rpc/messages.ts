import type { TransportCall } from '../../calls/operations.js';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { HandlerRegistry } from '../../handlers/handler-registry.js';
import type {
  HostedMethod,
  Endpoint,
  EndpointReader,
  MessageEndpoint,
} from '../../handlers/endpoint.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { Identifier, IncomingRequest } from '../../keys/call.js';
import { canonicalJson } from '../../keys/canonical-json.js';
import type { Delivery } from './delivery.js';
import { isRabbitSubscriber, rabbitEndpoint } from './golevelup.js';
import { isChangingTool, mcpUser } from './mcp.js';
import { envelopeOf, patternSentTo } from './transport-context.js';

/**
 * The metadata that `@MessagePattern()`, `@EventPattern()` and `@GrpcMethod()` leave on a method.
 */
const PATTERNS = 'microservices:pattern';
const HANDLER_TYPE = 'microservices:handler_type';
const TRANSPORT = 'microservices:transport';
const EVENT = 2;

/** A pattern of gRPC. */
interface GrpcPattern {
  readonly service: string;
  readonly rpc: string;
  readonly streaming: string;
}

const SINGLE_REQUEST = 'no_stream';

/** Finds the messages that methods of controllers handle. */
export const messages: EndpointReader = {
  kind: 'rpc',
  word: 'message',
  hosts: 'controllers',
  read: messageEndpoint,
  answers: ({ name, method }) => {
    const patterns =
      rabbitEndpoint(name, method)?.patterns ?? patternsOf(method)?.map(patternText) ?? [];
    return patterns.length === 0 ? [] : [scopeOf(patterns, name)];
  },
  changesState: (method) =>
    isEventHandler(method) || isRabbitSubscriber(method) || isChangingTool(method),
};

/** Finds those that methods of providers handle: only `@golevelup/nestjs-rabbitmq` calls these. */
export const messagesOfProviders: EndpointReader = {
  kind: 'rpc',
  word: 'message',
  hosts: 'providers',
  read: ({ name, method }) => ofLibrary(name, rabbitEndpoint(name, method)),
};

/** True for a method with `@EventPattern()`. */
function isEventHandler(method: object): boolean {
  return Reflect.getMetadata(HANDLER_TYPE, method) === EVENT;
}

/**
 * The messages that a controller method handles; `undefined` if it handles none.
 *
 * @throws {@link IdempotencyConfigurationError} for one that cannot be protected
 */
function messageEndpoint({ name, method }: HostedMethod): Endpoint | undefined {
  const given = patternsOf(method);
  const ofRabbit = rabbitEndpoint(name, method);
  if (given === undefined) return ofLibrary(name, ofRabbit);
  if (ofRabbit !== undefined) throw handlerOfTwo(name);
  if (given.some((pattern) => isGrpc(pattern) && pattern.streaming !== SINGLE_REQUEST))
    throw streamOfRequests(name);
  const patterns = given.map(patternText);
  const isEvent = isEventHandler(method);
  return {
    kind: 'rpc',
    scopes: [scopeOf(patterns, name)],
    answersValues: !isEvent,
    message: {
      patterns,
      isOfMany: patterns.length > 1 || given.some(hasWildcard),
      isEvent,
      transport: Reflect.getMetadata(TRANSPORT, method),
      isSettledByLibrary: false,
    },
  };
}

function ofLibrary(name: string, message: MessageEndpoint | undefined): Endpoint | undefined {
  if (message === undefined) return undefined;
  const { patterns, isEvent } = message;
  return { kind: 'rpc', scopes: [scopeOf(patterns, name)], answersValues: !isEvent, message };
}

function patternsOf(method: object): readonly unknown[] | undefined {
  return Reflect.getMetadata(PATTERNS, method) as readonly unknown[] | undefined;
}

function scopeOf(patterns: readonly string[], name: string): string {
  return `${patterns.join(' | ')} ${name}`;
}

/** A pattern as text: the same for objects with the same members. */
function patternText(pattern: unknown): string {
  if (typeof pattern === 'string' || pattern instanceof RegExp) return String(pattern);
  return isGrpc(pattern) ? `${pattern.service}/${pattern.rpc}` : canonicalJson(pattern);
}

/** Of MQTT, NATS, RabbitMQ and Redis; of Kafka, a regular expression. */
function hasWildcard(pattern: unknown): boolean {
  return pattern instanceof RegExp || (typeof pattern === 'string' && /[*#+>?[]/.test(pattern));
}

function isGrpc(pattern: unknown): pattern is GrpcPattern {
  return typeof pattern === 'object' && pattern !== null && 'rpc' in pattern;
}

function streamOfRequests(name: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    `${name}, a handler of a stream of requests`,
    'handlers of single messages',
    'Remove @Idempotent(), and protect the work for each request with IdempotencyService.run().',
  );
}

function handlerOfTwo(name: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    `${name}, which both Nest and @golevelup/nestjs-rabbitmq call`,
    'handlers that one of the two calls',
    'Make two handlers that call one method of a provider, and put the decorator on that method.',
  );
}

/** Nest's number of RabbitMQ, the only transport that waits for explicit acknowledgements. */
export const RMQ = 5;

/** Who settles a message of RabbitMQ: Nest calls all handlers of an event with the same pattern. */
export interface Settlers {
  /** True if this handler has a say. If one of them has `acknowledge`, only those with it have. */
  readonly isOne: boolean;
  /** How many they are. */
  readonly count: number;
}

/** @param routingKey the pattern of the message */
export function settlersOf(
  handler: ProtectedHandler,
  routingKey: string,
  registry: HandlerRegistry,
): Settlers {
  const own = handler.acknowledges === true;
  const { message } = handler;
  const pattern = message?.isEvent === true ? patternOf(message.patterns, routingKey) : undefined;
  if (pattern === undefined) return { isOne: true, count: 1 };
  let [acknowledging, all] = [0, 0];
  for (const { acknowledges, message: other } of registry.ofKind('rpc')) {
    const isCalled =
      other?.isEvent === true &&
      other.patterns.includes(pattern) &&
      (other.transport === undefined || other.transport === RMQ);
    if (!isCalled) continue;
    all += 1;
    if (acknowledges === true) acknowledging += 1;
  }
  return acknowledging === 0 ? { isOne: true, count: all } : { isOne: own, count: acknowledging };
}

/** As in Nest, an exact pattern comes before those with wildcards. */
function patternOf(patterns: readonly string[], routingKey: string): string | undefined {
  const exact = exactly(routingKey);
  return patterns.find((one) => one === exact) ?? patterns.find((one) => matches(one, routingKey));
}

/** Patterns that are objects are sent as JSON, with their members in any order. */
function exactly(routingKey: string): string {
  try {
    return patternText(JSON.parse(routingKey));
  } catch {
    return routingKey;
  }
}

/** As Nest matches a routing key: `*` stands for one word, `#` at the end for any number of them. */
function matches(pattern: string, routingKey: string): boolean {
  if (pattern === '#') return true;
  const words = pattern.split('.');
  const given = routingKey.split('.');
  const isOpen = words.at(-1) === '#';
  if (isOpen) words.pop();
  return (
    (isOpen ? given.length >= words.length : given.length === words.length) &&
    words.every((word, index) => word === '*' || word === given[index])
  );
}

/** The part of the content that a pattern is, if the handler has many. */
interface PatternParams {
  readonly pattern: string | undefined;
}

/** A message on its way to its handler. */
export class MessageCall implements TransportCall {
  readonly type = 'rpc';
  readonly request: IncomingRequest;
  readonly messageId: string | undefined;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    payload: unknown,
    /** The transport's context; of `@golevelup/nestjs-rabbitmq`, the raw message. */
    readonly context: unknown,
    /** See {@link MessageEndpoint.isOfMany}. */
    isOfMany = false,
    readonly delivery?: Delivery,
  ) {
    const { headers, id } = envelopeOf(context);
    this.messageId = id;
    // Guards put the caller wherever the context has room for it.
    const { user } = (context ?? {}) as { user?: { id?: Identifier; sub?: Identifier } };
    const params = isOfMany ? paramsOf(context) : undefined;
    this.request = { headers, params, body: payload, context, user: mcpUser(context) ?? user };
  }
}

function paramsOf(context: unknown): PatternParams {
  const pattern = patternSentTo(context);
  return { pattern: pattern === undefined ? undefined : exactly(pattern) };
}
