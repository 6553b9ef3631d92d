import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { ShopConfig } from './config.js';
import { createFastifyAdapter } from './fastify-adapter.js';

/** The shop, ready to listen. */
export function createApp(config: ShopConfig): Promise<INestApplication> {
  const options: NestApplicationOptions = {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  };
  const module = AppModule.for(config);
  return config.http === 'fastify'
    ? NestFactory.create(module, createFastifyAdapter(), options)
    : NestFactory.create(module, options);
}
