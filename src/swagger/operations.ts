import { REPLAYED_HEADER } from '../transports/http/headers.js';
import type { ProtectedHandler, ProtectedLayer } from '../handlers/protected-handler.js';
import { durationText, idempotencyExtension } from './idempotency-extension.js';
import type { Operation } from './open-api.js';
import { addParameters } from './parameters.js';
import { addProblems, type Problems } from './problems.js';
import { addReplies } from './replies.js';

/** Adds to an operation what its protection means to clients. */
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
  addProblems(
    problems,
    operation,
    layers.flatMap((layer) => refusalsAt(path, layer)),
  );
  operation['x-idempotency'] ??= idempotencyExtension(layers);
  operation.description = [operation.description, layers.map(sentence).join(' ')]
    .filter(Boolean)
    .join('\n\n');
}

/** A parameter of the path is there whenever the route is found. */
function refusalsAt(path: string, { key, refusals, published }: ProtectedLayer) {
  const isAlwaysThere = key.sources.every(
    ({ isNeverMissing, sentIn = [] }) =>
      isNeverMissing || sentIn.some((at) => at.in === 'path' && path.includes(`{${at.name}}`)),
  );
  const missing = refusals.missing ?? 'IDEMPOTENCY_KEY_REQUIRED';
  return published.refusals.filter(({ code }) => !isAlwaysThere || code !== missing);
}

function sentence({ key, required, policy }: ProtectedLayer): string {
  const { keepsReply, waitMs } = policy;
  const name = `the same key (\`${key.description}\`)`;
  const ttl = durationText(policy.retentionMs);
  const wait = durationText(waitMs);
  const sentences = [
    !keepsReply
      ? `One call at a time for ${name}${waitMs > 0 ? `; others wait for up to ${wait}` : ''}.`
      : policy.onDuplicate === 'reject'
        ? `Done once: for ${ttl} after it has finished, ${name} is refused with \`IDEMPOTENCY_DUPLICATE\`.`
        : `Safe to repeat: for ${ttl} after it has finished, ${name} is answered with the first reply, marked \`${REPLAYED_HEADER}: true\`.`,
    keepsReply && waitMs > 0 && `While it is running, a duplicate waits for up to ${wait}.`,
    !required && 'Without a key it runs unprotected.',
  ];
  return sentences.filter(Boolean).join(' ');
}
