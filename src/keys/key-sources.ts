import { type Awaitable, isPending } from '../engine/awaitable.js';
import { type IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import type { CallKind, IdempotentCall } from './call.js';
import { checkedHeaderName } from './header-source.js';
import { compositeKey, keyPart } from './key-part.js';
import type {
  BodyPath,
  KeyContext,
  KeyDeclaration,
  KeyFunction,
  KeySource,
  ResolvedKey,
} from './key-source.js';

export { header } from './header-source.js';

/**
 * A member of the parsed body, found by the names that lead to it:
 * `body<CreatePaymentDto>('orderNo')`, `body<CreatePaymentDto>('customer', 'id')`.
 * With a type, only its members are accepted.
 *
 * Read as sent, before validation. Members of prototypes are not found.
 *
 * @throws {@link IdempotencyConfigurationError} without a name
 */
export function body<T = unknown>(...path: BodyPath<T>): KeySource {
  const names: readonly unknown[] = path;
  const checked = names.map((name) => checkedName(name, 'body'));
  if (checked.length === 0) throw noName(undefined, 'body');
  const name = checked.join('.');
  const source = ownSource(`body.${name}`, CONTENT, ({ request }) =>
    memberAt(request.body, checked),
  );
  return { ...source, sentIn: [{ in: 'body', name }] };
}

/**
 * A parameter of the route: `param('id')` of `/goods/:id`.
 *
 * @throws {@link IdempotencyConfigurationError} when the name is empty
 */
export function param(name: string): KeySource {
  const path = [checkedName(name, 'param')];
  const source = headSource(`param ${name}`, ({ request }) => memberAt(request.params, path));
  return { ...source, sentIn: [{ in: 'path', name }] };
}

/**
 * A parameter of the query string. If it is sent twice, the call is refused.
 *
 * @throws {@link IdempotencyConfigurationError} when the name is empty
 */
export function query(name: string): KeySource {
  const path = [checkedName(name, 'query')];
  const source = headSource(`query ${name}`, ({ request }) => memberAt(request.query, path));
  return { ...source, sentIn: [{ in: 'query', name }] };
}

/**
 * A member of the payload of a message or of a socket's event, found by the names that lead to it: `payload('orderId')`.
 * Without a name, the payload itself, if it is text or a number.
 *
 * @throws {@link IdempotencyConfigurationError} when a name is empty
 */
export function payload(...path: readonly string[]): KeySource {
  const names = path.map((name) => checkedName(name, 'payload'));
  const description = ['payload', ...names].join('.');
  return ownSource(description, CONTENT, ({ request }) => memberAt(request.body, names));
}

/**
 * The id of a message, outside its payload:
 *
 * - RabbitMQ: the property `messageId`;
 * - NATS: the header `Nats-Msg-Id`;
 * - Kafka: topic, partition and offset, which are the same for all deliveries of the message;
 * - on every transport with headers, a header named `Message-Id` takes precedence.
 *
 * Transports without ids (TCP, Redis, MQTT before version 5) have none. Name a member of the
 * payload there.
 */
export function messageId(): KeySource {
  return ownSource('message id', ['rpc'], (call) => call.messageId);
}

/**
 * An argument, or a member of it. For a provider method, give its position, as in `arg(0)` and
 * `arg(0, 'order', 'id')`. For a GraphQL mutation, give its name, as in `arg('orderNo')` and
 * `arg('input', 'orderNo')`.
 *
 * @throws {@link IdempotencyConfigurationError} if it is neither a position nor a name
 */
export function arg(argument: number | string, ...path: readonly string[]): KeySource {
  const names = path.map((name) => checkedName(name, 'arg'));
  const description = [`argument ${argument}`, ...names].join('.');
  if (typeof argument === 'string') {
    const named = [checkedName(argument, 'arg'), ...names];
    return ownSource(description, ['graphql'], ({ request }) => memberAt(request.body, named));
  }
  if (!Number.isInteger(argument) || argument < 0) {
    throw wrongOption(
      'key',
      argument,
      'the position of an argument, from 0, or the name of one',
      "Count from the first argument, such as arg(0, 'orderNo').",
    );
  }
  return ownSource(description, ['method'], ({ args }) => memberAt(args?.[argument], names));
}

/**
 * Who is calling. Anonymous callers do not have this part, and so have no key. Every key's
 * namespace already contains the principal. Use this if the caller alone, or the caller and a
 * target, must not repeat (one vote per target and voter).
 */
export function principal(): KeySource {
  return ownSource('principal', undefined, (call) => call.principal);
}

/**
 * A key source made from a function, with a name for errors and API descriptions. The result counts
 * as for {@link KeyFunction}; `null` and `undefined` mean that there is no key.
 *
 * @throws {@link IdempotencyConfigurationError} if the description is empty or `read` is not a
 *   function
 */
export function keySource(description: string, read: KeyFunction): KeySource {
  if (typeof description !== 'string' || description === '') {
    throw noName(description, 'keySource');
  }
  if (typeof read !== 'function') {
    throw wrongOption(
      'key',
      read,
      'a function of the call',
      `Pass keySource('${description}', …) a function that returns the key.`,
    );
  }
  return {
    description,
    readsOnlyHead: false,
    coversContent: false,
    read(call): Awaitable<string | undefined> {
      const value = read(call);
      return isPending(value)
        ? Promise.resolve(value).then((later) => keyPart(later, description))
        : keyPart(value, description);
    },
  };
}

/** Kinds of calls whose content has named members. */
const CONTENT: readonly CallKind[] = ['http', 'rpc', 'graphql', 'ws'];

function ownSource(
  description: string,
  foundIn: readonly CallKind[] | undefined,
  find: (call: IdempotentCall) => unknown,
): KeySource {
  return {
    description,
    readsOnlyHead: false,
    coversContent: false,
    foundIn,
    value: find,
    read: (call) => keyPart(find(call), description),
  };
}

/** A source that reads the request line. */
function headSource(description: string, find: (call: IdempotentCall) => unknown): KeySource {
  return { ...ownSource(description, ['http'], find), readsOnlyHead: true };
}

/** Own members only, because every object has `constructor` and the like. */
function memberAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function checkedName(name: unknown, source: string): string {
  if (typeof name === 'string' && name !== '') return name;
  throw noName(name, source);
}

function noName(given: unknown, source: string): IdempotencyConfigurationError {
  return wrongOption(
    'key',
    given,
    `${source}() with a name`,
    `Name what ${source}() stands for, such as ${source}('orderNo'${
      source === 'keySource' ? ', (call) => …' : ''
    }).`,
  );
}

export type { ResolvedKey };

/**
 * Resolves a declaration to the form that calls use. Called once at boot.
 *
 * @throws {@link IdempotencyConfigurationError} if the declaration or the module's header name is
 *   invalid
 */
export function resolveKey(declaration: KeyDeclaration, context: KeyContext): ResolvedKey {
  checkedHeaderName(context.headerName, 'header');
  if (!Array.isArray(declaration)) {
    const source = resolveSource(declaration as KeySource | KeyFunction, context);
    const { description, readsOnlyHead, coversContent } = source;
    return {
      description,
      sources: [source],
      readsOnlyHead,
      coversContent,
      tellsCallers: source.tellsCallers === true,
      read: (call) => readPart(source, call),
    };
  }
  if (declaration.length === 0) throw notAKey(declaration);
  const sources = (declaration as readonly (KeySource | KeyFunction)[]).map((part) =>
    resolveSource(part, context),
  );
  return {
    description: sources.map((source) => source.description).join(' + '),
    sources,
    readsOnlyHead: sources.every((source) => source.readsOnlyHead),
    coversContent: sources.some((source) => source.coversContent),
    tellsCallers: sources.some((source) => source.tellsCallers === true),
    read: (call) => readParts(sources, call),
  };
}

function resolveSource(part: unknown, context: KeyContext): KeySource {
  if (typeof part === 'function') {
    const name = part.name === '' || part.name === 'key' ? '' : ` ${part.name}`;
    return keySource(`function${name}`, part as KeyFunction);
  }
  if (!isKeySource(part)) throw notAKey(part);
  checkKind(part, context.kind);
  if (part.resolve === undefined) return part;
  const resolved: unknown = part.resolve(context);
  if (!isKeySource(resolved)) throw notAKey(resolved);
  return resolved;
}

const CALLS: Readonly<Partial<Record<CallKind, readonly [name: string, remedy: string]>>> = {
  http: ['a route', "body('orderNo'), param('id') or header()"],
  rpc: ['a handler of messages', "payload('orderNo'), messageId() or header()"],
  graphql: ['a mutation', "arg('orderNo') or header()"],
  ws: ['an event of a web socket', "payload('orderNo')"],
  method: ['a method that code calls', "arg(0, 'orderNo')"],
};

/** A source that never finds a key would refuse every call, or protect none. */
function checkKind({ description, foundIn }: KeySource, kind: CallKind | undefined): void {
  const known = kind && CALLS[kind];
  if (known === undefined || foundIn === undefined || foundIn.includes(kind!)) return;
  const [place, remedy] = known;
  throw wrongOption(
    'key',
    `${description}, on ${place}`,
    `on ${place}: a source that its calls have`,
    `Say where its calls have the key, such as ${remedy}.`,
  );
}

function isKeySource(part: unknown): part is KeySource {
  if (typeof part !== 'object' || part === null) return false;
  const { description, read } = part as Partial<KeySource>;
  return typeof description === 'string' && typeof read === 'function';
}

function readPart(source: KeySource, call: IdempotentCall): Awaitable<string | undefined> {
  const value = source.read(call);
  // An application's sources must keep the same rules as those of this library.
  return isPending(value)
    ? Promise.resolve(value).then((later) => keyPart(later, source.description))
    : keyPart(value, source.description);
}

function readParts(
  sources: readonly KeySource[],
  call: IdempotentCall,
): Awaitable<string | undefined> {
  const parts: string[] = [];
  for (const source of sources) {
    const part = readPart(source, call);
    if (isPending(part)) return readRest(sources, call, parts, part);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return compositeKey(parts);
}

async function readRest(
  sources: readonly KeySource[],
  call: IdempotentCall,
  parts: string[],
  pending: PromiseLike<string | undefined>,
): Promise<string | undefined> {
  let part = await pending;
  for (;;) {
    if (part === undefined) return undefined;
    parts.push(part);
    const next = sources[parts.length];
    if (next === undefined) return compositeKey(parts);
    part = await readPart(next, call);
  }
}

function notAKey(given: unknown): IdempotencyConfigurationError {
  return wrongOption(
    'key',
    given,
    'header(), body(), param(), query(), payload(), messageId(), arg(), tick(), principal(), signature(), webhookEvent(), cloudEventId(), repeatability(), keySource(), a function of the call, or a list of at least one of them',
    "Say where the key comes from, such as body('orderNo') instead of 'orderNo'.",
  );
}
