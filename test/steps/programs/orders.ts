import 'reflect-metadata';
import { Controller, Injectable, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  arg,
  Idempotent,
  IdempotencyModule,
  IdempotencyService,
  type IdempotentOperation,
  isIdempotencyError,
  Operation,
} from 'nestjs-idempotency';
import { openStore, placeFrom, type ServerName } from '../../processes/support/open-store.js';
import { type Answer, type Placed, type Ready, STEPS, type Stopped } from '../support/order.js';

/** A Nest application that places orders in four steps, and stands still after one of them. */
const { SERVER, PLACE, STOPS_AFTER } = process.env;
const lease = Number(process.env.LEASE_MS);
const business = await openStore(SERVER as ServerName, placeFrom(PLACE!));

async function placed(operation: IdempotentOperation): Promise<Placed> {
  const derived = operation.deriveKey('charge');
  const ranIn: number[] = [];
  let areTyped = true;
  for (const name of STEPS) {
    const { pid, at, amount } = await operation.step(name, async () => {
      await business.act(`${operation.key} ${name}`);
      return { pid: process.pid, at: new Date(), amount: 10n };
    });
    ranIn.push(pid);
    areTyped &&= at instanceof Date && amount === 10n;
    if (name !== STOPS_AFTER) continue;
    process.send?.({ derived } satisfies Stopped);
    await new Promise(() => undefined);
  }
  return { attempt: operation.attempt, ranIn, areTyped, derived };
}

@Injectable()
class Orders {
  constructor(private readonly idempotency: IdempotencyService) {}

  @Idempotent({ key: arg(0), lease })
  place(_orderNo: string): Promise<Placed> {
    return placed(this.idempotency.current()!);
  }
}

@Controller('orders')
class OrdersController {
  @Post()
  @Idempotent({ lease })
  place(@Operation() operation: IdempotentOperation): Promise<Placed> {
    return placed(operation);
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: business.store })],
  controllers: [OrdersController],
  providers: [Orders],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
await app.listen(0, '127.0.0.1');
const orders = app.get(Orders);

process.on('message', (orderNo: string) => {
  const answer = orders.place(orderNo).catch((error: unknown): Answer => {
    if (!isIdempotencyError(error)) throw error;
    return { code: error.code };
  });
  void answer.then((it: Answer) => process.send?.(it));
});

const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
