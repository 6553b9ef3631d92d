import { Logger } from '@nestjs/common';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { Captured } from './captured.js';
import type { HttpExchange, HttpOperationContext } from './exchange.js';
import { recordBeforeHooks } from './fastify-hooks.js';
import { ResponseRecorder } from './response-recorder.js';

/** Why a reply was broken off. */
export function sourceErrorOf(captured: Captured): unknown {
  return captured.kind === 'broken' ? captured.error : undefined;
}

/** One for the response, whoever owns the operation. */
export function recorderOf(
  exchange: HttpExchange,
  { streamsThrough }: ProtectedHandler,
  { maxResponseBytes: maxBytes }: HttpOperationContext,
): ResponseRecorder {
  const { raw, response } = exchange;
  const isNativeApi = raw === (response as unknown);
  const options = { isNativeApi, maxBytes, streamsThrough };
  const recorder = new ResponseRecorder(raw, options, {
    settle: (captured) => exchange.owner!.settle(captured),
    clientGone: () => exchange.owner!.clientGone(),
    lost: (error) =>
      report('A reply could not be sent; its client has lost the connection.', error),
  });
  if (!isNativeApi) recordBeforeHooks(exchange, recorder);
  return recorder;
}

/** Logs what nobody else can be told. */
export function report(problem: string, error: unknown): void {
  new Logger('Idempotency').error(problem, error instanceof Error ? error.stack : String(error));
}
