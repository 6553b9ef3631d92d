import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { ShopConfig } from './config.js';
import { serveDocs } from './docs/docs.js';
import { createFastifyAdapter } from './fastify-adapter.js';
import { orderBus } from './messages/order-bus.js';

/** The shop, ready to listen, and hearing messages already. */
export async function createApp(config: ShopConfig): Promise<INestApplication> {
  const bus = await orderBus(config);
  const options: NestApplicationOptions = {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  };
  const module = AppModule.for(config, bus);
  const app =
    config.http === 'fastify'
      ? await NestFactory.create(module, createFastifyAdapter(), options)
      : await NestFactory.create(module, options);
  app.connectMicroservice(bus.consumer);
  await app.startAllMicroservices();
  serveDocs(app);
  return app;
}
