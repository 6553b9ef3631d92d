import { sentAsJson } from '../../replies/json-view.js';
import { NotKeepableError } from '../../replies/not-keepable.js';
import { plainnessOf } from '../../replies/plain-values.js';
import { EmittedValues } from '../../replies/reply.js';
import { encodeValue, type ReplyValues } from '../../replies/values.js';
import { isKafka } from './transport-context.js';

/**
 * What a transport sends of a value. The transports of Nest send JSON. Values that JSON has anyway
 * stay as they are.
 *
 * @throws {@link NotKeepableError} for what has no JSON
 */
export function sentView(value: unknown, context: unknown, values: ReplyValues): unknown {
  if (!isKafka(context)) return sentAsJson(value, values);
  const sent = EmittedValues.listOf(value).map(kafkaView);
  return sentAsJson(EmittedValues.of(sent), values);
}

/**
 * Kafka's serializer sends an instance as its own text, also as the key or the value of a message.
 * https://github.com/nestjs/nest/blob/master/packages/microservices/serializers/kafka-request.serializer.ts
 */
function kafkaView(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (!('key' in value) && !('value' in value)) return asText(value);
  const { key, value: content, ...others } = value as { key?: unknown; value?: unknown };
  return {
    ...others,
    ...('key' in value && { key: asText(key) }),
    ...('value' in value && { value: asText(content) }),
  };
}

function asText(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value) || Buffer.isBuffer(value)) return value;
  const prototype = Object.getPrototypeOf(value) as object | null;
  const isPlain = prototype === null || prototype === Object.prototype;
  const { toString: text } = value as { toString?: () => unknown };
  const hasOwnText = typeof text === 'function' && text !== Object.prototype.toString;
  return !isPlain && hasOwnText ? text.call(value) : value;
}

/** The values, or nothing in their place if a record cannot keep them. */
export function keptIfPossible(value: unknown, values: ReplyValues): unknown {
  const emitted = EmittedValues.listOf(value);
  if (plainnessOf(emitted) !== 'special') return value;
  try {
    for (const one of emitted) encodeValue(one, values);
    return value;
  } catch (error) {
    if (!(error instanceof NotKeepableError)) throw error;
    return EmittedValues.of(emitted.map(() => undefined));
  }
}
