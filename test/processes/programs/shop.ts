import 'reflect-metadata';
import { Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { once } from 'node:events';
import type { Arrived, Paid, Point, Protection, Ready, Strategy } from '../support/crash.js';
import { openStore, type ServerName } from '../support/open-store.js';
import { stopAtPoints } from '../support/stopping-store.js';

/** A Nest application that stands still at one point of a call, to be killed or paused there. */
const { SERVER, SERVER_PORT, STOPS_AT, STORE_TIMEOUT_MS } = process.env;
const PROTECTION = process.env.PROTECTION as Protection;
const STRATEGY = process.env.STRATEGY as Strategy;
const business = await openStore(SERVER as ServerName, Number(SERVER_PORT));

async function passing(at: Point): Promise<void> {
  if (at !== STOPS_AT) return;
  process.send?.({ at } satisfies Arrived);
  await once(process, 'message');
}

@Controller('payments')
class PaymentsController {
  @Post()
  @Idempotent({
    strategy: STRATEGY,
    lease: Number(process.env.LEASE_MS),
    ...(PROTECTION === 'transaction' ? { transaction: true } : { onAbandoned: PROTECTION }),
  })
  async pay(@Operation() operation: IdempotentOperation): Promise<Paid> {
    await passing('in the middle of the handler');
    await business.act(
      operation.key!,
      PROTECTION === 'transaction' ? operation.manager : undefined,
    );
    await passing('after the effect');
    return { attempt: operation.attempt, pid: process.pid };
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot({
      store: stopAtPoints(business.store, passing),
      storeTimeout: Number(STORE_TIMEOUT_MS),
      tokenController: true,
    }),
  ],
  controllers: [PaymentsController],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
