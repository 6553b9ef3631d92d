import { type INestApplication, type ModuleMetadata, UseInterceptors } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Idempotent, IdempotencyModule } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { type Records, TTL_MS } from '../records/records.js';
import type { Platform, Subject } from '../subjects.js';
import { DoNothingInterceptor, HandWrittenInterceptor } from './interceptors.js';
import { ordersController } from './orders.controller.js';

function parts(subject: Subject, { store, minimum }: Records): ModuleMetadata {
  switch (subject) {
    case 'bare':
      return { controllers: [ordersController()] };
    case 'undecorated':
      return { imports: [idempotency(store)], controllers: [ordersController()] };
    case 'do-nothing':
      return { controllers: [ordersController(UseInterceptors(DoNothingInterceptor))] };
    case 'hand-written':
    case 'hand-written-replay': {
      const interceptor = new HandWrittenInterceptor(minimum);
      return { controllers: [ordersController(UseInterceptors(interceptor))] };
    }
    case 'first':
    case 'replay':
    case 'replay-one':
      return {
        imports: [idempotency(store)],
        controllers: [ordersController(Idempotent({ ttl: TTL_MS }))],
      };
  }
}

function idempotency(store: IdempotencyStore): NonNullable<ModuleMetadata['imports']>[number] {
  return IdempotencyModule.forRoot({ store, allowMemoryStore: true });
}

/** An application with one route: `POST /orders`. */
export function createApp(
  platform: Platform,
  subject: Subject,
  records: Records,
): Promise<INestApplication> {
  class AppModule {}
  const module = { module: AppModule, ...parts(subject, records) };
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  return NestFactory.create(module, adapter, { logger: ['warn', 'error', 'fatal'] });
}
