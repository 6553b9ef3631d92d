import { type IdempotencyErrorCode, REFUSALS } from '../engine/refusals.js';
import { PROBLEM_CONTENT_TYPE } from '../transports/http/problem.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';
import type { PublishedRefusal } from '../strategies/strategy.js';
import type { Header, OpenAPIObject, Operation, Response, Schema } from './open-api.js';
import { addResponse } from './responses.js';

const NAME = 'IdempotencyProblem';

const SCHEMA: Schema = {
  type: 'object',
  description: 'Problem details (RFC 9457), with what a program needs to know.',
  required: ['type', 'title', 'status', 'detail', 'code', 'retryable'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Names the kind of problem.' },
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

/** How the refusals of a document are described. */
export interface Problems {
  readonly document: OpenAPIObject;
  readonly baseUrl: string | undefined;
}

/** Puts the schema of problems into the document, unless the application has one of that name. */
export function declareProblem(document: OpenAPIObject, baseUrl: string | undefined): Problems {
  document.components = {
    ...document.components,
    schemas: { [NAME]: SCHEMA, ...document.components?.schemas },
  };
  return { document, baseUrl };
}

/** Adds the answers that these refusals are. */
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
    ...(isRetryable && { headers: { 'Retry-After': RETRY_AFTER } }),
    content: {
      [PROBLEM_CONTENT_TYPE]: {
        schema: { $ref: `#/components/schemas/${NAME}` },
        examples: Object.fromEntries(examples),
      },
    },
  };
}
