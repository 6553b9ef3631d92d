import type { HandlerRegistry } from '../../handlers/handler-registry.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { patternText } from '../../handlers/message-entrance.js';

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
  const pattern = patternOf(message.patterns, routingKey);
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

/** As Nest finds it: an exact one before those with wildcards. */
function patternOf(patterns: readonly string[], routingKey: string): string | undefined {
  const exact = exactly(routingKey);
  return patterns.find((one) => one === exact) ?? patterns.find((one) => matches(one, routingKey));
}

/** Patterns that are objects travel as JSON, with their members in any order. */
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
