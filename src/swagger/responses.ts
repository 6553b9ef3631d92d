import { isDeepStrictEqual } from 'node:util';
import { type IdempotencyErrorCode, REFUSALS } from '../engine/refusals.js';
import { isDeterministic } from '../calls/failure.js';
import type { ProtectedHandler } from '../handlers/protected-handler.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';
import type { IdempotencyModuleOptions } from '../options/idempotency.options.js';
import type { PublishedRefusal } from '../strategies/strategy.js';
import {
  ERROR_HEADER,
  PROBLEM_CONTENT_TYPE,
  REPLAYED_HEADER,
  RETRY_AFTER_HEADER,
} from '../transports/http/headers.js';
import {
  type Content,
  type Header,
  isSameHeader,
  type MediaType,
  type OpenAPIObject,
  type Operation,
  resolved,
  type Response,
  type Schema,
} from './open-api.js';
import { publishedLayer, type PublishedLayer } from './published-layer.js';

type Headers = NonNullable<Response['headers']>;

/** Adds missing parts to the response with a status. */
export function addResponse(
  document: OpenAPIObject,
  operation: Operation,
  status: number | string,
  added: Response,
): void {
  const declared = resolved<Response>(document, operation.responses[status]);
  const headers = { ...newHeaders(declared?.headers, added.headers), ...declared?.headers };
  const content = { ...declared?.content, ...withContent(declared?.content, added.content) };
  operation.responses[status] = {
    ...declared,
    description: declared?.description || added.description,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function newHeaders(declared: Headers = {}, added: Headers = {}): Headers {
  const isNew = ([name]: [string, unknown]): boolean =>
    !Object.keys(declared).some((known) => isSameHeader(known, name));
  return Object.fromEntries(Object.entries(added).filter(isNew));
}

/** If both describe the same media type, a body may match either. */
function withContent(declared: Content = {}, added: Content = {}): Content {
  const types = Object.entries(added).map(([type, media]) => {
    const known = declared[type];
    return [type, known === undefined ? media : eitherOf(known, media)] as const;
  });
  return Object.fromEntries(types);
}

function eitherOf(declared: MediaType, added: MediaType): MediaType {
  const examples = { ...added.examples, ...declared.examples };
  return {
    ...declared,
    schema: eitherSchema(declared.schema, added.schema),
    // A media type has either one example or several.
    ...(declared.example === undefined && Object.keys(examples).length > 0 && { examples }),
  };
}

function eitherSchema(declared: Schema | undefined, added: Schema | undefined): Schema | undefined {
  if (declared === undefined || added === undefined) return declared ?? added;
  return isDeepStrictEqual(declared, added) ? declared : { anyOf: [declared, added] };
}

const NAME = 'IdempotencyProblem';

const SCHEMA: Schema = {
  type: 'object',
  description: 'Problem details (RFC 9457), with members for programs.',
  required: ['type', 'title', 'status', 'detail', 'code', 'retryable'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'The kind of problem.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What to do next.' },
    code: { type: 'string', enum: Object.keys(REFUSALS) },
    retryable: {
      type: 'boolean',
      description: 'True when the same call, repeated unchanged, may succeed later.',
    },
  },
  additionalProperties: true,
};

const RETRY_AFTER: Header = {
  description: 'How many seconds to wait before repeating the same call.',
  schema: { type: 'integer', minimum: 0 },
};

function errorHeader(codes: readonly IdempotencyErrorCode[]): Header {
  return {
    description: 'The code of the refusal.',
    schema: { type: 'string', enum: [...codes] },
  };
}

/** How a document describes refusals. */
export interface Problems {
  readonly document: OpenAPIObject;
  readonly baseUrl: string | undefined;
  /** True if the application limits what a caller may have in flight. */
  readonly hasLimits: boolean;
}

/** Adds the schema of problems to the document, unless the application has one with that name. */
export function declareProblem(
  document: OpenAPIObject,
  { problemBaseUrl: baseUrl, limits }: IdempotencyModuleOptions,
): Problems {
  document.components = {
    ...document.components,
    schemas: { [NAME]: SCHEMA, ...document.components?.schemas },
  };
  return { document, baseUrl, hasLimits: limits !== undefined };
}

/** Adds the responses for these refusals. */
export function addProblems(
  { document, baseUrl }: Problems,
  operation: Operation,
  refusals: readonly PublishedRefusal[],
): void {
  const byStatus = new Map<number, Set<IdempotencyErrorCode>>();
  for (const { code, status = REFUSALS[code].status } of refusals)
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  for (const [status, codes] of byStatus)
    addResponse(document, operation, status, problemResponse(status, [...codes], baseUrl));
}

function problemResponse(
  status: number,
  codes: readonly IdempotencyErrorCode[],
  problemBaseUrl: string | undefined,
): Response {
  const examples = codes.map((code) => {
    const { problem } = new IdempotencyException(code, { status, problemBaseUrl });
    return [code, { summary: REFUSALS[code].title, value: problem }] as const;
  });
  const isRetryable = codes.some((code) => REFUSALS[code].retryable);
  return {
    description: codes.map((code) => `${REFUSALS[code].title} (\`${code}\`)`).join(', '),
    headers: {
      [ERROR_HEADER]: errorHeader(codes),
      ...(isRetryable && { [RETRY_AFTER_HEADER]: RETRY_AFTER }),
    },
    content: {
      [PROBLEM_CONTENT_TYPE]: {
        schema: { $ref: `#/components/schemas/${NAME}` },
        examples: Object.fromEntries(examples),
      },
    },
  };
}

const REPLAYED: Header = {
  description: 'Only present on a reply that was recorded earlier.',
  schema: { type: 'string', enum: ['true'] },
};

/** Adds what strategies add to the handler's replies, and the mark of a replay. */
export function addReplies(
  document: OpenAPIObject,
  operation: Operation,
  { layers, onError }: ProtectedHandler,
): void {
  const published = layers.map(publishedLayer);
  for (const { reply, headers } of published) {
    if (reply !== undefined) replaceSuccess(document, operation, reply);
    for (const status of successes(operation)) addHeaders(document, operation, status, headers);
  }
  if (!published.some(({ replays }) => replays)) return;
  for (const status of Object.keys(operation.responses))
    if (isRecorded(status, onError !== undefined))
      addResponse(document, operation, status, {
        description: '',
        headers: { [REPLAYED_HEADER]: REPLAYED },
      });
}

/** The strategy answers instead of the handler. */
function replaceSuccess(
  document: OpenAPIObject,
  operation: Operation,
  { status, schema }: NonNullable<PublishedLayer['reply']>,
): void {
  for (const other of successes(operation)) {
    const { description, content } = resolved<Response>(document, operation.responses[other])!;
    // The framework's default response, which nobody has declared.
    if (!description && content === undefined) delete operation.responses[other];
  }
  operation.responses[status] ??= {
    description: '',
    content: { 'application/json': { schema } },
  };
}

function addHeaders(
  document: OpenAPIObject,
  operation: Operation,
  status: string,
  meanings: Readonly<Record<string, string>>,
): void {
  const headers = Object.entries(meanings).map(
    ([name, description]) => [name, { description, schema: { type: 'string' } }] as const,
  );
  addResponse(document, operation, status, {
    description: '',
    headers: Object.fromEntries(headers),
  });
}

function successes({ responses }: Operation): string[] {
  return Object.keys(responses).filter((status) => status.startsWith('2'));
}

/** Whether a duplicate may get a reply with this status. */
function isRecorded(status: string, decidesOnErrors: boolean): boolean {
  if (/^[23]/.test(status)) return true;
  return /^[45]\d\d$/.test(status) && (decidesOnErrors || isDeterministic(Number(status)));
}
