import 'reflect-metadata';
import { Body, Controller, Module, Param, Put } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Idempotent, IdempotencyModule, ifMatch, param } from 'nestjs-idempotency';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { placeFrom, type ServerName, sqlOptions } from '../../processes/support/open-store.js';
import { passing, stopAtPoints, stopWhereAsked } from '../../processes/support/stopping-store.js';
import { ENTITIES, Goods, Order } from '../support/entities.js';
import type { Ready } from '../support/goods-shop.js';

/** A shop whose rows have versions and states. Calls stand still where they say, to be killed there. */
const { SERVER, PLACE } = process.env;
const dataSource = new DataSource({
  ...sqlOptions(SERVER as Exclude<ServerName, 'Redis'>, placeFrom(PLACE!), 20),
  entities: ENTITIES,
});
await dataSource.initialize();

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
      store: stopAtPoints(new TypeOrmStore({ dataSource, purge: false })),
      storeTimeout: '30s',
      principal: ({ request }) => request.headers['x-user'] as string | undefined,
    }),
  ],
  controllers: [GoodsController],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
app.use(stopWhereAsked);
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
