import type { IdempotentCall } from './call.js';
import { keyPart, MAX_KEY_LENGTH } from './key-part.js';
import { InvalidKeyError, type KeySource } from './key-source.js';
import { sha256 } from './record-id.js';
import { readBody } from './request-body.js';

/** What names an event, and what a repetition of it must repeat. */
interface CloudEvent {
  readonly source: string;
  readonly id: string;
  readonly type: unknown;
  readonly data: unknown;
}

type Members = Readonly<Record<string, unknown>>;

const DESCRIPTION = 'CloudEvents source and id';
const STRUCTURED = /^\s*application\/cloudevents(?:\+|\s*;|\s*$)/i;
const BATCH = /^\s*application\/cloudevents-batch/i;

/**
 * What the transports put before the names of attributes: HTTP and NATS, Kafka, the two forms of AMQP;
 * MQTT uses the names themselves.
 */
const PREFIXES = ['ce-', 'ce_', 'cloudevents:', 'cloudevents_', ''];

/**
 * The source and the id of a CloudEvent, which name it together (CloudEvents 1.0.2, section 3.1). Found
 * in both modes, on every transport: as `ce-` headers (HTTP, NATS), `ce_` headers (Kafka),
 * `cloudEvents:` and `cloudEvents_` properties (AMQP) and user properties (MQTT), or as members of an
 * `application/cloudevents+json` event.
 *
 * A repetition must have the same type and data. Everything else, such as the time or the context of a
 * trace, may differ. A batch is refused, because it is several events.
 */
export function cloudEventId(): KeySource {
  return {
    description: DESCRIPTION,
    readsOnlyHead: false,
    coversContent: false,
    foundIn: ['http', 'rpc'],
    read(call) {
      const event = eventOf(call);
      return event && keyPart(nameOf(event), DESCRIPTION);
    },
    content(call) {
      const event = eventOf(call);
      return event && [event.type ?? null, event.data ?? null];
    },
  };
}

/** A source is a URI reference, which has no spaces. */
function nameOf({ source, id }: CloudEvent): string {
  const name = `${source} ${id}`;
  return name.length > MAX_KEY_LENGTH ? `sha256:${sha256(name)}` : name;
}

/**
 * The event in a call; `undefined` if there is none.
 *
 * @throws {@link InvalidKeyError} for a batch, and for an event without one of the two
 * @throws {@link FingerprintUnavailableError} for an event that nothing has parsed
 */
function eventOf(call: IdempotentCall): CloudEvent | undefined {
  const { request } = call;
  const contentType = contentTypeOf(call);
  if (BATCH.test(contentType)) throw batch();
  if (STRUCTURED.test(contentType)) return checked(structured(parsed(readBody(request))));
  for (const prefix of PREFIXES) {
    const { headers } = request;
    if (headers[`${prefix}specversion`] === undefined && headers[`${prefix}id`] === undefined)
      continue;
    // Without a prefix, `id` may be anything.
    if (prefix === '' && headers['specversion'] === undefined) continue;
    const attribute = (name: string): string | undefined =>
      attributeOf(headers[prefix + name], prefix === 'ce-');
    return checked({
      source: attribute('source'),
      id: attribute('id'),
      type: attribute('type'),
      data: call.type === 'http' ? readBody(request) : request.body,
    });
  }
  if (call.type === 'http') return undefined;
  const event = parsed(request.body);
  if (Array.isArray(event) && event.some(isEvent)) throw batch();
  return isEvent(event) ? checked(structured(event)) : undefined;
}

function batch(): InvalidKeyError {
  return new InvalidKeyError(
    'A batch of CloudEvents has no id of its own. Send its events one by one.',
  );
}

function contentTypeOf({ request: { headers } }: IdempotentCall): string {
  for (const name of ['content-type', 'contenttype', 'content_type']) {
    const given = headers[name];
    if (typeof given === 'string') return given;
  }
  return '';
}

/** The JSON format, and the members of the protobuf format as gRPC delivers them. */
function structured(event: unknown): Partial<Members> {
  if (!isObject(event)) return {};
  const { source, id, type, data, data_base64: bytes, dataBase64 = bytes } = event;
  return { source, id, type, data: data ?? event['textData'] ?? event['binaryData'] ?? dataBase64 };
}

function isEvent(value: unknown): value is Members {
  return (
    isObject(value) &&
    ['specversion', 'specVersion', 'spec_version'].some((name) => Object.hasOwn(value, name))
  );
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An event that a transport has left as bytes or text. */
function parsed(body: unknown): unknown {
  const text = body instanceof Uint8Array ? Buffer.from(body).toString() : body;
  if (typeof text !== 'string') return body;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function checked({ source, id, type, data }: Partial<Members>): CloudEvent {
  if (typeof id !== 'string' || id === '' || typeof source !== 'string' || source === '')
    throw new InvalidKeyError('A CloudEvent must have a source and an id that are not empty.');
  if (/\s/.test(source))
    throw new InvalidKeyError('The source of a CloudEvent is a URI reference without spaces.');
  return { source, id, type, data };
}

/** In HTTP headers, values are percent-encoded, and may be quoted (HTTP binding, section 3.1.3.2). */
function attributeOf(value: unknown, isEncoded: boolean): string | undefined {
  if (typeof value !== 'string') {
    if (value === undefined) return undefined;
    throw new InvalidKeyError('An attribute of the CloudEvent was sent more than once.');
  }
  if (!isEncoded) return value;
  const text = /^".*"$/.test(value) ? value.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') : value;
  try {
    return decodeURIComponent(text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    throw new InvalidKeyError('An attribute of the CloudEvent is not valid UTF-8.');
  }
}
