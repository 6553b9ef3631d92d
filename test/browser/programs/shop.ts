import 'reflect-metadata';
import { Body, Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Idempotent, IdempotencyModule } from 'nestjs-idempotency';
import { once } from 'node:events';
import { openStore } from '../../processes/support/open-store.js';
import { PageController } from '../support/page.controller.js';

/** The shop as a process: to be killed where it says that it has an order in hand. */
const { REDIS_PORT, PORT, STOPS } = process.env;
const business = await openStore('Redis', Number(REDIS_PORT));

@Controller('gated')
class OrdersController {
  @Post()
  @Idempotent({ lease: '1s' })
  async order(@Body() order: object): Promise<object> {
    if (STOPS === 'yes') {
      process.send?.('has an order');
      await once(process, 'message');
    }
    return { number: await business.act('orders'), ...order };
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: business.store })],
  controllers: [OrdersController, PageController],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
await app.listen(Number(PORT), '127.0.0.1');
process.send?.('ready');
