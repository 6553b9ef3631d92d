import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import type { ShopConfig } from './config.js';
import { createFastifyAdapter } from './fastify-adapter.js';

/** The shop, ready to listen. */
export function createApp({ http }: Pick<ShopConfig, 'http'>): Promise<INestApplication> {
  const options: NestApplicationOptions = {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  };
  return http === 'fastify'
    ? NestFactory.create(AppModule, createFastifyAdapter(), options)
    : NestFactory.create(AppModule, options);
}
