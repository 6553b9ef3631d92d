import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { MessageEndpoint } from '../../handlers/endpoint.js';

/**
 * The description of the symbol under which `@RabbitSubscribe()` and `@RabbitRPC()` of
 * `@golevelup/nestjs-rabbitmq` leave their metadata. Each copy of the package has a symbol of its own.
 */
const RABBIT_HANDLER = 'RABBIT_HANDLER';

/** The parts of the options of `@RabbitSubscribe()` and `@RabbitRPC()` that are read. */
interface RabbitOptions {
  readonly type?: unknown;
  readonly exchange?: string;
  readonly routingKey?: string | readonly string[];
  readonly bindings?: readonly { readonly exchange?: string; readonly routingKey?: string }[];
  readonly queue?: string;
  /** Of a handler that is configured in the module. */
  readonly name?: string;
  readonly batchOptions?: unknown;
}

/** The key of the metadata on a method; `undefined` for a method that the package does not call. */
export function rabbitKeyOf(method: object): symbol | undefined {
  return Reflect.getMetadataKeys(method).find(
    (key: unknown): key is symbol => typeof key === 'symbol' && key.description === RABBIT_HANDLER,
  );
}

function optionsOf(method: object): RabbitOptions | undefined {
  const key = rabbitKeyOf(method);
  return key && ((Reflect.getMetadata(key, method) ?? {}) as RabbitOptions);
}

/** True for a method with `@RabbitSubscribe()`. */
export function isRabbitSubscriber(method: object): boolean {
  const options = optionsOf(method);
  return options !== undefined && options.type !== 'rpc';
}

/**
 * The messages that `@golevelup/nestjs-rabbitmq` brings to a method; `undefined` if it does not call
 * the method.
 *
 * @throws {@link IdempotencyConfigurationError} for a handler of batches
 */
export function rabbitEndpoint(name: string, method: object): MessageEndpoint | undefined {
  const options = optionsOf(method);
  if (options === undefined) return undefined;
  if (options.batchOptions !== undefined) throw batches(name);
  const bound = bindingsOf(options);
  return {
    patterns: bound.length > 0 ? bound : [options.name ?? options.queue ?? '#'],
    // The module may configure other routing keys for a name.
    isOfMany: bound.length !== 1 || options.name !== undefined || /[*#]/.test(bound[0]!),
    isEvent: options.type !== 'rpc',
    transport: 'golevelup',
    isSettledByLibrary: true,
  };
}

/** Exchange and routing key of each binding, as far as the decorator names them. */
function bindingsOf({ exchange, routingKey, bindings = [] }: RabbitOptions): string[] {
  const keys = routingKey === undefined ? [] : [routingKey].flat();
  return [
    ...keys.map((key) => patternOf(exchange, key)),
    ...bindings.map((one) => patternOf(one.exchange, one.routingKey)),
  ];
}

function patternOf(exchange = '', routingKey: unknown = ''): string {
  return `${exchange}/${String(routingKey)}`;
}

function batches(name: string): IdempotencyConfigurationError {
  return wrongOption(
    '@Idempotent()',
    `${name}, a handler of batches`,
    'handlers of single messages',
    'Remove @Idempotent(), and protect the work for each message with IdempotencyService.run().',
  );
}

/** A message as `amqplib` delivers it. The package passes it to handlers as their second argument. */
export interface RawMessage {
  readonly content: Uint8Array;
  readonly fields: {
    readonly exchange: string;
    readonly routingKey: string;
    readonly redelivered: boolean;
  };
  readonly properties: {
    readonly messageId?: unknown;
    readonly replyTo?: unknown;
    readonly headers?: Readonly<Record<string, unknown>>;
  };
}

export function isRawMessage(context: unknown): context is RawMessage {
  const { content, fields, properties } = (context ?? {}) as Partial<RawMessage>;
  return content instanceof Uint8Array && fields?.routingKey !== undefined && isObject(properties);
}

/**
 * Where a message was sent. A queue of dead letters and the way back from there give it another routing
 * key, but it is still the same message.
 */
export function addressOf({ fields, properties }: RawMessage): string {
  const first = firstDeath(properties.headers ?? {});
  if (first === undefined) return patternOf(fields.exchange, fields.routingKey);
  return patternOf(String(first.exchange), first['routing-keys'][0]);
}

/** https://www.rabbitmq.com/docs/dlx#effects */
interface Death {
  readonly queue: unknown;
  readonly reason: unknown;
  readonly exchange: unknown;
  readonly 'routing-keys': readonly unknown[];
}

function firstDeath(headers: Readonly<Record<string, unknown>>): Death | undefined {
  const deaths = headers['x-death'];
  if (!Array.isArray(deaths)) return undefined;
  return deaths
    .filter(isDeath)
    .find(
      ({ queue, reason }) =>
        queue === headers['x-first-death-queue'] && reason === headers['x-first-death-reason'],
    );
}

function isDeath(value: unknown): value is Death {
  return isObject(value) && Array.isArray((value as Partial<Death>)['routing-keys']);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
