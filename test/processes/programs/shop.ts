import 'reflect-metadata';
import { Controller, Module, Post, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import type { Paid, Protection, Ready, Strategy } from '../support/crash.js';
import { openStore, placeFrom, type LayerName, type ServerName } from '../support/open-store.js';
import { passing, stopAtPoints, stopWhereAsked } from '../support/stopping-store.js';

/** A Nest application whose calls stand still where they are told to, to be killed or paused there. */
const { SERVER, PLACE, LEASE_MS, STORE_TIMEOUT_MS } = process.env;
const poolSize = Number(process.env.POOL_SIZE);
const business = await openStore(SERVER as ServerName | LayerName, placeFrom(PLACE!), poolSize);

const STRATEGIES: readonly Strategy[] = ['unique-key', 'token'];
const PROTECTIONS: readonly Protection[] =
  SERVER === 'Redis' ? ['rerun', 'hold', 'recorded'] : ['rerun', 'hold', 'recorded', 'transaction'];

const OPTIONS = {
  rerun: { onAbandoned: 'rerun' },
  hold: { onAbandoned: 'hold' },
  recorded: { onRecordFailure: 'fail' },
  transaction: { transaction: true },
} as const;

function payments(strategy: Strategy, protection: Protection): Type {
  const inTransaction = protection === 'transaction';

  @Controller(`payments/${strategy}/${protection}`)
  class PaymentsController {
    @Post()
    @Idempotent({
      strategy,
      lease: Number(LEASE_MS),
      ...OPTIONS[protection],
    })
    async pay(@Operation() operation: IdempotentOperation): Promise<Paid> {
      const { attempt, fencingToken } = operation;
      await passing('in the middle of the handler');
      await business.act(operation.key!, inTransaction ? operation.manager : undefined);
      await passing('after the effect');
      return { attempt, fencingToken, pid: process.pid };
    }
  }
  return PaymentsController;
}

@Module({
  imports: [
    IdempotencyModule.forRoot({
      store: stopAtPoints(business.store),
      storeTimeout: Number(STORE_TIMEOUT_MS),
      tokenController: true,
    }),
  ],
  controllers: STRATEGIES.flatMap((strategy) =>
    PROTECTIONS.map((protection) => payments(strategy, protection)),
  ),
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
app.use(stopWhereAsked);
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
