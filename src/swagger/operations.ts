import type { ProtectedHandler, ProtectedLayer } from '../handlers/protected-handler.js';
import { MAX_KEY_LENGTH } from '../keys/key-part.js';
import { TOKEN_DEFAULTS, type TokenOptions } from '../options/token-options.js';
import { REPLAYED_HEADER } from '../transports/http/headers.js';
import { durationText, idempotencyExtension } from './idempotency-extension.js';
import {
  isSameHeader,
  type OpenAPIObject,
  type Operation,
  type Parameter,
  resolved,
} from './open-api.js';
import { addProblems, addReplies, addResponse, type Problems } from './responses.js';
import { publishedLayer } from './published-layer.js';

/** Adds what the protection of an operation means to clients. */
export function describeOperation(
  problems: Problems,
  operation: Operation & { 'x-idempotency'?: unknown },
  path: string,
  handler: ProtectedHandler,
): void {
  const { layers } = handler;
  const { document } = problems;
  addParameters(document, operation, layers);
  addReplies(document, operation, handler);
  const isLimited = problems.hasLimits && layers.some(({ policy }) => policy.keepsReply);
  addProblems(problems, operation, [
    ...layers.flatMap((layer) => refusalsAt(path, layer)),
    ...(isLimited ? [{ code: 'IDEMPOTENCY_LIMIT_EXCEEDED' } as const] : []),
  ]);
  operation['x-idempotency'] ??= idempotencyExtension(layers);
  operation.description = [operation.description, layers.map(sentence).join(' ')]
    .filter(Boolean)
    .join('\n\n');
}

/** A parameter of the path is always present when the route is found. */
function refusalsAt(path: string, layer: ProtectedLayer) {
  const { key, refusals } = layer;
  const isAlwaysThere = key.sources.every(
    ({ isNeverMissing, sentIn = [] }) =>
      isNeverMissing || sentIn.some((at) => at.in === 'path' && path.includes(`{${at.name}}`)),
  );
  const missing = refusals.missing ?? 'IDEMPOTENCY_KEY_REQUIRED';
  return publishedLayer(layer).refusals.filter(({ code }) => !isAlwaysThere || code !== missing);
}

function sentence({ key, required, policy, ttlOf }: ProtectedLayer): string {
  const { keepsReply, waitMs } = policy;
  const name = `the same key (\`${key.description}\`)`;
  const after =
    ttlOf === undefined ? `for ${durationText(policy.ttlMs)} after` : 'for some time after';
  const wait = durationText(waitMs);
  const sentences = [
    !keepsReply
      ? `One call at a time for ${name}${waitMs > 0 ? `; others wait for up to ${wait}` : ''}.`
      : policy.onDuplicate === 'reject'
        ? `Done once: ${after} it has finished, ${name} is refused with \`IDEMPOTENCY_DUPLICATE\`.`
        : `Safe to repeat: ${after} it has finished, ${name} is answered with the first reply, marked \`${REPLAYED_HEADER}: true\`.`,
    keepsReply && waitMs > 0 && `While it is running, a duplicate waits for up to ${wait}.`,
    !required && 'Without a key it runs unprotected.',
  ];
  return sentences.filter(Boolean).join(' ');
}

/** Content types in which a browser sends a form by itself. */
const FORM_TYPES = ['application/x-www-form-urlencoded', 'multipart/form-data'];

const SCHEMA = { type: 'string', minLength: 1, maxLength: MAX_KEY_LENGTH };
const PART_OF_KEY = 'Part of the key of the operation. Send the same value with every retry.';

/** Adds the headers and query parameters from which the layers read their keys. */
function addParameters(
  document: OpenAPIObject,
  operation: Operation,
  layers: readonly ProtectedLayer[],
): void {
  const parameters = [...(operation.parameters ?? [])];
  for (const added of layers.flatMap((layer) => parametersOf(document, operation, layer))) {
    const index = parameters.findIndex((one) => isSame(resolved<Parameter>(document, one), added));
    if (index === -1) parameters.push(added);
    else parameters[index] = merged(resolved<Parameter>(document, parameters[index])!, added);
  }
  operation.parameters = parameters;
}

function parametersOf(
  document: OpenAPIObject,
  operation: Operation,
  { key, required }: ProtectedLayer,
): Parameter[] {
  return key.sources.flatMap(({ sentIn = [] }) => {
    const isOnlyWay =
      !sentIn.some((place) => place.in === 'body') || !takesForms(document, operation);
    return sentIn.flatMap((place): Parameter[] =>
      place.in === 'header' || place.in === 'query'
        ? [
            {
              name: place.name,
              in: place.in,
              required: required && isOnlyWay,
              description: place.description ?? PART_OF_KEY,
              schema: SCHEMA,
            },
          ]
        : [],
    );
  });
}

/** True if the body may be a form. */
function takesForms(document: OpenAPIObject, { requestBody }: Operation): boolean {
  const { content = {} } =
    resolved<{ content?: object }>(document, requestBody as { content?: object }) ?? {};
  return FORM_TYPES.some((type) => type in content);
}

function isSame(declared: Parameter | undefined, added: Parameter): boolean {
  if (declared?.in !== added.in) return false;
  return added.in === 'header'
    ? isSameHeader(declared.name, added.name)
    : declared.name === added.name;
}

function merged(declared: Parameter, { schema, ...added }: Parameter): Parameter {
  const isDescribed = declared.schema !== undefined || declared.content !== undefined;
  return { ...added, ...(isDescribed ? {} : { schema }), ...declared };
}

const ISSUED_TOKEN = {
  type: 'object',
  required: ['token', 'expiresAt', 'header'],
  properties: {
    token: { type: 'string' },
    expiresAt: { type: 'string', format: 'date-time' },
    header: { type: 'string', description: 'The name of the header in which to send it.' },
  },
};

/** Describes the request and reply of the `TokenController`'s route. */
export function describeTokenRoute(
  problems: Problems,
  operation: Operation,
  { mode = TOKEN_DEFAULTS.mode, purposes = [] }: TokenOptions = {},
): void {
  operation.summary ??= 'Issues a token that is good for one operation.';
  const purpose = { type: 'string', enum: [...purposes] };
  if (purposes.length > 0)
    operation.requestBody ??= {
      required: false,
      content: { 'application/json': { schema: { type: 'object', properties: { purpose } } } },
    };
  addResponse(problems.document, operation, 201, {
    description: 'The token. Send it with the operation.',
    content: { 'application/json': { schema: ISSUED_TOKEN } },
  });
  addProblems(problems, operation, [
    { code: 'IDEMPOTENCY_PURPOSE_UNKNOWN' },
    ...(mode === 'stored' ? [{ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' } as const] : []),
  ]);
}
