import { TOKEN_DEFAULTS, type TokenOptions } from '../options/token-options.js';
import type { Operation } from './open-api.js';
import { addProblems, type Problems } from './problems.js';
import { addResponse } from './responses.js';

const ISSUED_TOKEN = {
  type: 'object',
  required: ['token', 'expiresAt', 'header'],
  properties: {
    token: { type: 'string' },
    expiresAt: { type: 'string', format: 'date-time' },
    header: { type: 'string', description: 'The name of the header that takes it back.' },
  },
};

/** Adds what the route of the `TokenController` takes and answers. */
export function describeTokenRoute(
  problems: Problems,
  operation: Operation,
  { mode = TOKEN_DEFAULTS.mode, purposes = [] }: TokenOptions = {},
): void {
  operation.summary ??= 'Issues a token, which is good for one operation.';
  const purpose = { type: 'string', enum: [...purposes] };
  if (purposes.length > 0)
    operation.requestBody ??= {
      required: false,
      content: { 'application/json': { schema: { type: 'object', properties: { purpose } } } },
    };
  addResponse(problems.document, operation, 201, {
    description: 'The token, to be sent back with the operation.',
    content: { 'application/json': { schema: ISSUED_TOKEN } },
  });
  addProblems(problems, operation, [
    { code: 'IDEMPOTENCY_PURPOSE_UNKNOWN' },
    ...(mode === 'stored' ? [{ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' } as const] : []),
  ]);
}
