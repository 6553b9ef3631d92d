import 'reflect-metadata';
import { Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import { once } from 'node:events';
import type { Arrived, Paid, Point, Ready } from '../support/crash.js';

/** A Nest application that stands still at one point of a call, to be killed or paused there. */
const { REDIS_PORT, STOPS_AT, ON_ABANDONED, LEASE_MS } = process.env;
const client = new Redis(Number(REDIS_PORT));

async function passing(at: Point): Promise<void> {
  if (at !== STOPS_AT) return;
  process.send?.({ at } satisfies Arrived);
  await once(process, 'message');
}

type Verb<Name extends 'acquire' | 'complete'> = Parameters<RedisStore[Name]>[0];

class StoppingStore extends RedisStore {
  override async acquire(request: Verb<'acquire'>): ReturnType<RedisStore['acquire']> {
    await passing('before the claim');
    const result = await super.acquire(request);
    await passing('after the claim');
    return result;
  }

  override async complete(request: Verb<'complete'>): Promise<boolean> {
    const isDone = await super.complete(request);
    await passing('after complete');
    return isDone;
  }
}

@Controller('payments')
class PaymentsController {
  @Post()
  @Idempotent({ lease: Number(LEASE_MS), onAbandoned: ON_ABANDONED === 'hold' ? 'hold' : 'rerun' })
  async pay(@Operation() operation: IdempotentOperation): Promise<Paid> {
    await passing('in the middle of the handler');
    await client.incr(`effects:${operation.key}`);
    await passing('after the effect');
    return { attempt: operation.attempt, pid: process.pid };
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: new StoppingStore({ client }) })],
  controllers: [PaymentsController],
})
class ShopModule {}

const app = await NestFactory.create(ShopModule, { logger: ['error', 'fatal'] });
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as { port: number };
process.send?.({ port } satisfies Ready);
