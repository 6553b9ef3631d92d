// Before the shop: it has to see every handler when its decorators are applied.
import { assertEffectsAreCounted } from './effects/count-effects.js';
import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { orderBus } from '../shop/messages/order-bus.js';
import type { ShopConfig } from '../shop/setup/config.js';
import { serveDocs } from '../shop/setup/docs.js';
import { createFastifyAdapter } from '../shop/setup/fastify-adapter.js';
import { ShowModule } from './show.module.js';

/** The shop, ready to listen, and hearing messages already. */
export async function createApp(config: ShopConfig): Promise<INestApplication> {
  assertEffectsAreCounted();
  const bus = await orderBus(config);
  const options: NestApplicationOptions = {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  };
  const module = ShowModule.for(config, bus);
  const app =
    config.http === 'fastify'
      ? await NestFactory.create(module, createFastifyAdapter(), options)
      : await NestFactory.create(module, options);
  app.connectMicroservice(bus.consumer);
  await app.startAllMicroservices();
  serveDocs(app);
  return app;
}
