import { addressOf, isRawMessage } from './golevelup.js';
import { isMcp, mcpHeaders } from './mcp.js';

/**
 * The parts of the contexts of Nest's transports that are read. They are told apart by their
 * members, so that `@nestjs/microservices` need not be installed.
 */
export interface RmqContext {
  getMessage(): RmqMessage;
  getChannelRef(): RmqChannel;
  getPattern(): string;
}

export interface RmqMessage {
  readonly fields: { readonly deliveryTag: number };
  readonly properties: {
    readonly messageId?: unknown;
    readonly headers?: unknown;
    readonly replyTo?: unknown;
  };
}

/** The part of `amqplib`'s channel that settles messages. */
export interface RmqChannel {
  ack(message: RmqMessage): void;
  nack(message: RmqMessage, allUpTo: boolean, requeue: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface NatsContext {
  getSubject(): string;
  getHeaders(): NatsHeaders | undefined;
}

/** `MsgHdrs` of the client of NATS. */
interface NatsHeaders {
  keys(): Iterable<string>;
  get(name: string): string;
}

interface KafkaContext {
  getMessage(): { readonly headers?: unknown; readonly offset: string };
  getTopic(): string;
  getPartition(): number;
}

interface MqttContext {
  getPacket(): { readonly properties?: { readonly userProperties?: unknown } };
}

/** `Metadata` of gRPC. */
interface GrpcMetadata {
  getMap(): unknown;
}

/** TCP and Redis. */
interface PacketContext {
  getMetadata(): unknown;
}

/** RabbitMQ and TCP; NATS; Kafka and MQTT; Redis. */
type AddressedContext = Partial<
  Record<'getPattern' | 'getSubject' | 'getTopic' | 'getChannel', () => unknown>
>;

/** What a transport knows about a message, besides its payload. */
interface Envelope {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** See {@link IdempotentCall.messageId}. */
  readonly id: string | undefined;
}

const MESSAGE_ID_HEADER = 'message-id';
const NATS_ID_HEADER = 'nats-msg-id';

export function envelopeOf(context: unknown): Envelope {
  if (isRmq(context)) return envelopeOfAmqp(context.getMessage());
  if (has<NatsContext>(context, 'getSubject')) {
    const headers = natsHeaders(context.getHeaders());
    return envelope(headers, headers[NATS_ID_HEADER]);
  }
  if (isKafka(context)) {
    const { headers, offset } = context.getMessage();
    return envelope(headers, `${context.getTopic()}/${context.getPartition()}/${offset}`);
  }
  if (has<MqttContext>(context, 'getPacket'))
    return envelope(context.getPacket().properties?.userProperties);
  if (isGrpc(context)) return envelope(context.getMap());
  if (isRawMessage(context)) return envelopeOfAmqp(context);
  if (isMcp(context)) return envelope(mcpHeaders(context));
  return envelope(has<PacketContext>(context, 'getMetadata') ? context.getMetadata() : undefined);
}

function envelopeOfAmqp({ properties }: Pick<RmqMessage, 'properties'>): Envelope {
  return envelope(properties.headers, properties.messageId);
}

/** What the sender addressed: `undefined` for a transport that does not tell. */
export function patternSentTo(context: unknown): string | undefined {
  if (isRawMessage(context)) return addressOf(context);
  const { getPattern, getSubject, getTopic, getChannel } = (context ?? {}) as AddressedContext;
  const get = getPattern ?? getSubject ?? getTopic ?? getChannel;
  const pattern: unknown = get?.call(context);
  return typeof pattern === 'string' ? pattern : undefined;
}

export function isRmq(context: unknown): context is RmqContext {
  return has<RmqContext>(context, 'getChannelRef');
}

/** True for a message whose sender does not wait for a reply, whatever its handler expects. */
export function isOneWay(context: unknown): boolean {
  if (isRmq(context)) return context.getMessage().properties.replyTo === undefined;
  if (isRawMessage(context)) return context.properties.replyTo === undefined;
  if (!isKafka(context)) return false;
  const headers = (context.getMessage().headers ?? {}) as Readonly<Record<string, unknown>>;
  return KAFKA_REPLY_HEADERS.some((name) => headers[name] === undefined);
}

/** Nest answers a request of Kafka if it has both. */
const KAFKA_REPLY_HEADERS = ['kafka_correlationId', 'kafka_replyTopic'];

/** Nest's contexts of transports that do not notice whether a handler failed. */
const FORGETTING: ReadonlySet<string> = new Set([
  'RmqContext',
  'NatsContext',
  'MqttContext',
  'RedisContext',
  'TcpContext',
]);
/** The classes themselves, because a bundler may have renamed them. */
const forgetting = new WeakSet<object>();

/** Makes the contexts of Nest's transports known. */
export function addContexts(microservices: object): void {
  for (const name of FORGETTING) {
    const type = (microservices as Readonly<Record<string, unknown>>)[name];
    if (typeof type === 'function') forgetting.add(type);
  }
}

/**
 * True for a transport that delivers an event again if its handler fails. Kafka does, and so may
 * the transports of others.
 */
export function redeliversFailed(context: unknown): boolean {
  if (isKafka(context)) return true;
  const type = (context as { constructor?: { name?: string } } | null | undefined)?.constructor;
  return type === undefined || !(forgetting.has(type) || FORGETTING.has(type.name ?? ''));
}

export function isKafka(context: unknown): context is KafkaContext {
  return has<KafkaContext>(context, 'getPartition');
}

export function isGrpc(context: unknown): context is GrpcMetadata {
  return has<GrpcMetadata>(context, 'getMap');
}

function has<T>(context: unknown, method: keyof T & string): context is T {
  return (
    typeof context === 'object' &&
    context !== null &&
    typeof (context as Readonly<Record<string, unknown>>)[method] === 'function'
  );
}

function envelope(given: unknown, ownId?: unknown): Envelope {
  const headers: Record<string, string | string[]> = Object.create(null) as never;
  if (typeof given === 'object' && given !== null)
    for (const [name, value] of Object.entries(given)) {
      const text = Array.isArray(value) ? value.map(textOf).filter(isText) : textOf(value);
      if (text !== undefined) headers[name.toLowerCase()] = text;
    }
  const id = headers[MESSAGE_ID_HEADER] ?? ownId;
  return { headers, id: typeof id === 'string' && id !== '' ? id : undefined };
}

function natsHeaders(given: NatsHeaders | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (given !== undefined)
    for (const name of given.keys()) headers[name.toLowerCase()] = given.get(name);
  return headers;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  const isPlain =
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
  return isPlain ? String(value) : undefined;
}

function isText(value: string | undefined): value is string {
  return value !== undefined;
}
