import { Logger } from '@nestjs/common';
import { isJob } from '../keys/jobs.js';
import type { Declared } from './declared-methods.js';
import { notProtected } from './not-protected.js';
import type { ProtectedHandler } from './protected-handler.js';

/** Members that tell one delivery of a message from the next (SQS, Pub/Sub, Service Bus, AMQP). */
const MARKS = [
  'ReceiptHandle',
  'receiptHandle',
  'ackId',
  'lockToken',
  'deliveryTag',
  'redelivered',
  'deliveryAttempt',
  'deliveryCount',
  'redeliveryCount',
  'ApproximateReceiveCount',
];
/** Members in which there may be such a member. */
const PARTS = ['fields', 'properties', 'attributes', 'Attributes', 'info'];
/** What can be done with a delivery, a stream, a connection or a context. */
const VERBS = [
  'ack',
  'nack',
  'ackAll',
  'pipe',
  'getReader',
  'heartbeat',
  'getChannelRef',
  'getArgs',
];

/** What `@SqsMessageHandler()` of `@ssut/nestjs-sqs` leaves on a method. */
const SQS_HANDLER = Symbol.for('SQS_CONSUMER_METHOD');

/** Handlers that have been checked with arguments of a call. */
const looked = new WeakSet<ProtectedHandler>();

const logger = new Logger('Idempotency');

/**
 * True for something that carries content but is more than that: a message with its receipt, a request,
 * a socket, a stream, a context. Each time it is another one.
 */
function isDelivery(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && isDelivery(value[0]);
  if (typeof value !== 'object' || value === null || isJob(value)) return false;
  return (
    VERBS.some((name) => isFunction(value, name)) ||
    (isFunction(value, 'on') && isFunction(value, 'emit')) ||
    isMarked(value) ||
    PARTS.some((name) => isMarked(memberOf(value, name)))
  );
}

function isMarked(value: unknown): boolean {
  return typeof value === 'object' && value !== null && MARKS.some((name) => name in value);
}

function isFunction(value: object, name: string): boolean {
  return typeof memberOf(value, name) === 'function';
}

/** The accessors of a prototype may throw. */
function memberOf(value: object, name: string): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

/**
 * Warns at boot of a method that gets deliveries, as far as its declaration tells, if nothing says what
 * their content is.
 */
export function checkDeclared(
  { type, methodName, method }: Declared,
  handler: ProtectedHandler,
): void {
  if (handler.kind !== 'method' || handler.namesContent) return;
  const prototype = type.prototype as object;
  const types: unknown = Reflect.getMetadata('design:paramtypes', prototype, methodName);
  const at = Reflect.hasMetadata(SQS_HANDLER, method)
    ? 0
    : Array.isArray(types)
      ? types.findIndex((one) => typeof one === 'function' && isDelivery(one.prototype))
      : -1;
  if (at !== -1) tell(handler, at);
}

/**
 * The same at a call, for what no declaration tells. Every other key than the content itself is only
 * warned of, once: the first delivery runs, and a later one is refused.
 *
 * @throws {@link IdempotencyException} `IDEMPOTENCY_NOT_PROTECTED` if the content is the key, because
 *   every delivery would run
 */
export function checkArguments(args: readonly unknown[], handler: ProtectedHandler): void {
  if (handler.namesContent) return;
  const isKey = handler.layers.some(({ key }) => key.coversContent);
  if (looked.has(handler) && !isKey) return;
  const at = args.findIndex(isDelivery);
  if (at === -1) {
    looked.add(handler);
    return;
  }
  if (isKey) throw notProtected(handler.name, `${reasonOf(at)} ${remedyOf(at)}`);
  if (!looked.has(handler)) tell(handler, at);
}

function tell(handler: ProtectedHandler, at: number): void {
  looked.add(handler);
  logger.warn(
    `${handler.name}: ${reasonOf(at)} A redelivery will be refused as other content. ${remedyOf(at)}`,
  );
}

function reasonOf(at: number): string {
  return `argument ${at} looks like a delivery (a raw message, a request, a socket, a stream, a context), which is never the same twice.`;
}

function remedyOf(at: number): string {
  return `Say what counts as its content: content: (call) => call.args[${at}].Body, or content: arg(${at}, 'Body').`;
}
