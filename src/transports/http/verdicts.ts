import { HttpException, Logger } from '@nestjs/common';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type Awaitable, chain } from '../../engine/awaitable.js';
import type { Claim, Settlement } from '../../engine/claim.js';
import { type IdempotencyErrorCode, undoneRefusal } from '../../engine/refusals.js';
import type { ErrorDecision } from '../../options/idempotency.options.js';
import { decodeReply, encodeHttpReply } from '../../replies/codec.js';
import type { Reply } from '../../replies/reply.js';
import type { Verdict } from './captured.js';
import type { HttpExchange, HttpOperationContext } from './exchange.js';
import { writeProblem } from './headers.js';
import { sendRecorded } from './replayer.js';

/** Where an operation has ended, and what answers for it are made of. */
interface Place {
  /** The headers around the handler. */
  readonly base: OutgoingHttpHeaders;
  readonly exchange: HttpExchange;
  readonly retryAfterMs: number;
  readonly context: Pick<HttpOperationContext, 'refusal' | 'maxResponseBytes'>;
}

/** What happens to a reply that was held back until its operation was settled. */
export function verdictOf(
  settlement: Exclude<Settlement, { outcome: 'failed' }>,
  place: Place,
): Verdict {
  const { base, context, exchange, retryAfterMs } = place;
  switch (settlement.outcome) {
    case 'stored':
    case 'deferred':
      return 'send';
    case 'superseded':
      return (raw) => writeWinner(raw, settlement.reply, place);
    case 'lost':
      return (raw) => {
        writeProblem(raw, base, context.refusal('IDEMPOTENCY_KEY_IN_USE', { retryAfterMs }));
      };
    // The commit failed, or its answer was lost. A retry runs, or gets the recorded reply.
    case 'undone':
      return (raw) => {
        reportCommit(exchange, settlement.cause);
        const { code, reason } = undoneRefusal(settlement, retryAfterMs);
        writeProblem(raw, base, context.refusal(code, reason));
      };
    // The reply must not be sent before it is on record. A retry gets it then.
    case 'unrecorded':
      return (raw) => {
        const { cause } = settlement;
        writeProblem(
          raw,
          base,
          context.refusal('IDEMPOTENCY_RESULT_PENDING', { retryAfterMs, cause }),
        );
      };
  }
}

/** What another attempt has recorded. */
function writeWinner(raw: ServerResponse, recorded: Uint8Array, place: Place): Awaitable<void> {
  const { base, context, exchange } = place;
  const winner = readable(recorded);
  const refuse = (code: IdempotencyErrorCode): void =>
    writeProblem(raw, base, context.refusal(code));
  if (winner?.kind !== 'http') {
    const isNotKept = winner?.kind === 'not-kept';
    return refuse(isNotKept ? 'IDEMPOTENCY_REPLY_NOT_KEPT' : 'IDEMPOTENCY_RECORD_UNREADABLE');
  }
  return chain(sendRecorded(exchange, base, winner, context.maxResponseBytes), (refused) => {
    if (refused !== undefined) refuse('IDEMPOTENCY_REPLY_NOT_ACCEPTABLE');
  });
}

function readable(recorded: Uint8Array): Reply | undefined {
  try {
    return decodeReply(recorded);
  } catch {
    return undefined;
  }
}

const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * The database refused to commit the work, after its reply was ready. That reply never leaves. The
 * caller gets what Nest's own filter would answer, because no filter can be asked any more.
 */
export function failedCommit(
  { base, exchange }: Place,
  claim: Claim,
  error: unknown,
  decision: ErrorDecision,
): Awaitable<Verdict> {
  reportCommit(exchange, error);
  const { status, body } = errorReply(error);
  const send = (raw: ServerResponse): void => write(raw, base, status, body);
  switch (decision) {
    case 'store': {
      const reply = encodeHttpReply(status, [['Content-Type', JSON_TYPE]], body);
      return chain(claim.fail(reply), () => send);
    }
    case 'hold':
      return chain(claim.hold(`failed with status ${status}`, error), () => send);
    case 'release':
      return chain(claim.release(), () => send);
  }
}

/** Logs what the database said, within what the store made of it. */
function reportCommit({ scope }: HttpExchange, error: unknown): void {
  const cause = (error instanceof Error ? error.cause : undefined) ?? error;
  new Logger('Idempotency').error(
    `The transaction of ${scope} could not be committed: ${String(cause)}`,
  );
}

function errorReply(error: unknown): { readonly status: number; readonly body: Buffer } {
  const isKnown = error instanceof HttpException;
  const status = isKnown ? error.getStatus() : 500;
  const given = isKnown ? error.getResponse() : 'Internal server error';
  const content = typeof given === 'string' ? { statusCode: status, message: given } : given;
  return { status, body: Buffer.from(JSON.stringify(content)) };
}

function write(raw: ServerResponse, base: OutgoingHttpHeaders, status: number, body: Buffer): void {
  for (const name of raw.getHeaderNames()) if (!(name in base)) raw.removeHeader(name);
  raw.statusCode = status;
  raw.setHeader('Content-Type', JSON_TYPE);
  raw.setHeader('Content-Length', body.length);
  raw.end(body);
}
