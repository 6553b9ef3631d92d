import { type INestApplication, type ModuleMetadata, UseInterceptors } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Idempotent, IdempotencyModule, MemoryStore } from 'nestjs-idempotency';
import type { Platform, Subject } from '../subjects.js';
import { DoNothingInterceptor, HandWrittenInterceptor } from './interceptors.js';
import { ordersController } from './orders.controller.js';

/** Room for every key of a long run. */
const MAX_BYTES = 2 ** 32;

function parts(subject: Subject): ModuleMetadata {
  switch (subject) {
    case 'bare':
      return { controllers: [ordersController()] };
    case 'undecorated':
      return { imports: [idempotency()], controllers: [ordersController()] };
    case 'do-nothing':
      return { controllers: [ordersController(UseInterceptors(DoNothingInterceptor))] };
    case 'hand-written':
      return { controllers: [ordersController(UseInterceptors(HandWrittenInterceptor))] };
    case 'first':
    case 'replay':
      return { imports: [idempotency()], controllers: [ordersController(Idempotent())] };
  }
}

function idempotency(): NonNullable<ModuleMetadata['imports']>[number] {
  const store = new MemoryStore({ maxBytes: MAX_BYTES });
  return IdempotencyModule.forRoot({ store, allowMemoryStore: true });
}

/** An application with one route: `POST /orders`. */
export function createApp(platform: Platform, subject: Subject): Promise<INestApplication> {
  class AppModule {}
  const module = { module: AppModule, ...parts(subject) };
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  return NestFactory.create(module, adapter, { logger: ['warn', 'error', 'fatal'] });
}
