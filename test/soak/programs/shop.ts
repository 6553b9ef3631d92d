import 'reflect-metadata';
import { Body, Controller, Headers, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  IdempotencyService,
  Operation,
} from 'nestjs-idempotency';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { recordId } from '../../../src/keys/record-id.js';
import type { ServerName } from '../../processes/support/open-store.js';
import type { Paid } from '../history.js';
import { openLedger } from '../ledger.js';
import {
  PAUSE_BEFORE_RETRY_MS,
  type Ready,
  SCOPE,
  type Settings,
  UNRECORDED_HEADER,
} from '../shop.js';

/** One of the processes of the soak: a Nest application whose only handler writes into a ledger. */
const settings = JSON.parse(process.env.SOAK_SETTINGS!) as Settings;
const { leaseMs, storeTimeoutMs, isTransaction } = settings;
const ledger = await openLedger(settings.server as ServerName, settings.port);

@Controller()
class PaymentsController {
  @Post('payments')
  @Idempotent({ scope: SCOPE, lease: leaseMs, transaction: isTransaction, wait: leaseMs })
  async pay(
    @Body('amount') amount: number,
    @Headers('x-work-ms') workMs: string,
    @Headers('x-fails') fails: string | undefined,
    @Operation() operation: IdempotentOperation,
  ): Promise<Paid> {
    const { key = '', principal = '', attempt, fencingToken, signal } = operation;
    const run = { principal, key, attempt, fencingToken, runId: randomUUID().slice(0, 8) };
    await sleep(Number(workMs));
    if (fails !== undefined) throw new Error('not this time');
    if (isTransaction) await ledger.write(run, operation.manager);
    else await persist(() => ledger.write(run), signal);
    await sleep(Number(workMs));
    return { ...run, amount };
  }
}

/** Until it is known to be done: who gives up without knowing would have to hold the operation. */
async function persist(act: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await act();
      return;
    } catch (error) {
      if (signal.aborted) throw error;
    }
    await sleep(PAUSE_BEFORE_RETRY_MS);
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot({
      store: ledger.store,
      storeTimeout: storeTimeoutMs,
      principal: ({ request }) =>
        (request as { headers: Record<string, string> }).headers['x-principal'],
    }),
  ],
  controllers: [PaymentsController],
})
class ShopModule {}

process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled: ${String(error)}\n`);
  process.exit(1);
});
const app = await NestFactory.create(ShopModule, { logger: false });

/** Attempts whose reply this process knows and the store does not. */
const unrecorded = new Map<string, Set<number>>();
app.get(IdempotencyService).events$.subscribe((event) => {
  if (event.type === 'completion-failed' && event.verb === 'complete') {
    const attempts = unrecorded.get(event.id) ?? new Set();
    unrecorded.set(event.id, attempts.add(event.attempt));
  } else if (event.type === 'stored') unrecorded.get(event.id)?.delete(event.attempt);
});
// In the moment in which a reply goes out; what handlers set would be on record with it.
app.use(({ headers }: IncomingMessage, response: ServerResponse, next: () => void) => {
  const id = recordId(SCOPE, String(headers['x-principal']), String(headers['idempotency-key']));
  const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
  response.writeHead = (...args: unknown[]) => {
    response.setHeader(UNRECORDED_HEADER, [...(unrecorded.get(id) ?? [])].join(' '));
    return writeHead(...args);
  };
  next();
});
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
