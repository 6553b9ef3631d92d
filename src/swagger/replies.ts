import { isDeterministic } from '../handlers/failure.js';
import { REPLAYED_HEADER } from '../transports/http/headers.js';
import type { ProtectedHandler, ProtectedLayer } from '../handlers/protected-handler.js';
import {
  type Header,
  type OpenAPIObject,
  type Operation,
  resolved,
  type Response,
} from './open-api.js';
import { addResponse } from './responses.js';

const REPLAYED: Header = {
  description: 'On a reply that was recorded earlier, and only there.',
  schema: { type: 'string', enum: ['true'] },
};

/** Adds what strategies put on, or into, the replies of the handler, and the mark of a replay. */
export function addReplies(
  document: OpenAPIObject,
  operation: Operation,
  { layers, onError }: ProtectedHandler,
): void {
  for (const { published } of layers) {
    if (published.reply !== undefined) replaceSuccess(document, operation, published.reply);
    for (const status of successes(operation))
      addHeaders(document, operation, status, published.headers);
  }
  if (!layers.some(({ published }) => published.replays)) return;
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
  { status, schema }: NonNullable<ProtectedLayer['published']['reply']>,
): void {
  for (const other of successes(operation)) {
    const { description, content } = resolved<Response>(document, operation.responses[other])!;
    // What the framework would have answered with, and nobody has declared.
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

/** Of the statuses that the application answers with: whether a duplicate may get them. */
function isRecorded(status: string, decidesOnErrors: boolean): boolean {
  if (/^[23]/.test(status)) return true;
  return /^[45]\d\d$/.test(status) && (decidesOnErrors || isDeterministic(Number(status)));
}
