import 'reflect-metadata';
import { Body, Controller, Module, Param, Put } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Idempotent, IdempotencyModule, ifMatch, param } from 'nestjs-idempotency';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { once } from 'node:events';
import { DataSource } from 'typeorm';
import type { Arrived, Point } from '../../processes/support/crash.js';
import { type ServerName, sqlOptions } from '../../processes/support/open-store.js';
import { stopAtPoints } from '../../processes/support/stopping-store.js';
import { ENTITIES, Goods, Order } from '../support/entities.js';
import type { Ready } from '../support/goods-shop.js';

/** A shop whose rows have versions and states. Stands still at one point, to be killed there. */
const { SERVER, SERVER_PORT, STOPS_AT } = process.env;
const dataSource = new DataSource({
  ...sqlOptions(SERVER as Exclude<ServerName, 'Redis'>, Number(SERVER_PORT)),
  entities: ENTITIES,
});
await dataSource.initialize();

async function passing(at: Point): Promise<void> {
  if (at !== STOPS_AT) return;
  process.send?.({ at } satisfies Arrived);
  await once(process, 'message');
}

interface Text {
  readonly text: string;
}

@Controller()
class GoodsController {
  @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })
  @Put('goods/:id')
  async goods(@Param('id') id: number, @Body() { text }: Text): Promise<Text> {
    await passing('in the middle of the handler');
    await currentManager(dataSource).update(Goods, { id }, { name: text });
    await passing('after the effect');
    return { text };
  }

  @Idempotent({
    strategy: 'state',
    entity: Order,
    id: param('id'),
    column: 'status',
    to: 'paid',
    from: ['created'],
  })
  @Put('orders/:id')
  async pay(@Param('id') id: number, @Body() { text }: Text): Promise<Text> {
    await passing('in the middle of the handler');
    await currentManager(dataSource).update(Order, { id }, { note: text });
    await passing('after the effect');
    return { text };
  }

  /** Check and change are two steps: only the lock keeps others from coming between. */
  @Idempotent({ strategy: 'lock', key: param('id'), wait: '60s' })
  @Put('locked/:id')
  async locked(@Param('id') id: number): Promise<object> {
    const { stage } = await dataSource.manager.findOneByOrFail(Order, { id });
    await dataSource.manager.update(Order, { id }, { stage: stage + 1 });
    return {};
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot({
      store: stopAtPoints(new TypeOrmStore({ dataSource, purge: false }), passing),
      storeTimeout: '30s',
      principal: ({ request }) => request.headers['x-user'] as string | undefined,
    }),
  ],
  controllers: [GoodsController],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
