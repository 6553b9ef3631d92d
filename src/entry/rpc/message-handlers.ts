import type { HandlerRegistry } from '../handler-registry.js';
import type { ProtectedHandler } from '../protected-handler.js';

/** Nest's number of RabbitMQ, the only transport that waits for acknowledgements by hand. */
const RMQ = 5;

/**
 * How many handlers that acknowledge are called with one message: Nest calls all handlers of an
 * event that have the same pattern.
 *
 * @param routingKey the pattern of the message
 */
export function handlersOfMessage(
  { message }: ProtectedHandler,
  routingKey: string,
  registry: HandlerRegistry,
): number {
  if (message === undefined || !message.isEvent) return 1;
  const pattern = message.patterns.find((one) => matches(one, routingKey));
  if (pattern === undefined) return 1;
  let count = 0;
  for (const { acknowledges, message: other } of registry.messageHandlers()) {
    const isCalled =
      other?.isEvent === true &&
      other.patterns.includes(pattern) &&
      (other.transport === undefined || other.transport === RMQ);
    if (isCalled && acknowledges) count += 1;
  }
  return count;
}

/** As Nest matches a routing key: `*` stands for one word, `#` at the end for any number of them. */
function matches(pattern: string, routingKey: string): boolean {
  if (pattern === routingKey || pattern === '#') return true;
  const words = pattern.split('.');
  const given = routingKey.split('.');
  const isOpen = words.at(-1) === '#';
  if (isOpen) words.pop();
  return (
    (isOpen ? given.length >= words.length : given.length === words.length) &&
    words.every((word, index) => word === '*' || word === given[index])
  );
}
