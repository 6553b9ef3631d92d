import { setTimeout as sleep } from 'node:timers/promises';
import 'reflect-metadata';
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Header,
  HttpException,
  type NestInterceptor,
  Module,
  Param,
  Post,
  Redirect,
  Res,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Idempotent, IdempotencyModule, MemoryStore } from 'nestjs-idempotency';
import type { ServerResponse } from 'node:http';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Redis } from 'ioredis';
import { map, tap } from 'rxjs';
import { DataSource } from 'typeorm';
import { IdempotencyEngine } from '../../../src/engine/engine.js';
import { type Fault, FaultInjectingStore } from '../../../src/testing/index.js';
import { ANSWERING, GOING_ON, STAYING, type PlatformReply } from '../support/hostile.js';

/** Time enough for whatever else the event loop has to do, as with a server. */
const inAWhile: Fault = async (ask) => {
  await sleep(5);
  return ask();
};

const { PLATFORM, STORE, PROTECTED, URL } = process.env;
const CYRILLIC = 'attachment; filename="накладная.pdf"';
const protect = (): MethodDecorator =>
  PROTECTED === 'yes'
    ? (Idempotent({ transaction: STORE === 'in a transaction' }) as MethodDecorator)
    : () => undefined;
let runs = 0;

class Late implements NestInterceptor {
  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): ReturnType<NestInterceptor['intercept']> {
    const reply = context.switchToHttp().getResponse<PlatformReply>();
    return next.handle().pipe(tap(() => reply.header('X-Note', 'заметка')));
  }
}

class Unserialisable implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): ReturnType<NestInterceptor['intercept']> {
    return next.handle().pipe(map(() => ({ amount: 12n })));
  }
}

@Controller()
class HostileController {
  @protect()
  @Post('answering/:which')
  answering(
    @Res() reply: PlatformReply & { raw?: ServerResponse },
    @Param('which') which: string,
  ): void {
    runs += 1;
    const raw = reply.raw ?? (reply as unknown as ServerResponse);
    (ANSWERING[which] ?? STAYING[which] ?? GOING_ON[which])?.({ raw, reply });
  }

  @protect()
  @Post('returning/file')
  file(): StreamableFile {
    runs += 1;
    return new StreamableFile(Buffer.from('abc'), { disposition: CYRILLIC });
  }

  @protect()
  @Header('X-Note', 'заметка')
  @Post('returning/header')
  header(): string {
    runs += 1;
    return 'x';
  }

  @protect()
  @Redirect()
  @Post('returning/redirect')
  redirect(): { url: string; statusCode: number } {
    runs += 1;
    return { url: 'http://host/\u0000\r\nX: y', statusCode: 302 };
  }

  @protect()
  @UseInterceptors(Late)
  @Post('returning/outer')
  outer(): string {
    runs += 1;
    return 'x';
  }

  @protect()
  @UseInterceptors(Unserialisable)
  @Post('returning/unserialisable')
  unserialisable(): string {
    runs += 1;
    return 'x';
  }

  @protect()
  @Post('throwing/:status')
  throwing(@Param('status') status: string): never {
    runs += 1;
    throw new HttpException('upstream said so', Number(status));
  }
}

/** The store of this process. */
async function storeOf(): Promise<IdempotencyStore> {
  if (STORE === 'in Redis') return new RedisStore({ client: new Redis(URL!) });
  if (STORE === 'in PostgreSQL' || STORE === 'in a transaction') {
    const dataSource = new DataSource({ type: 'postgres', url: URL, poolSize: 3 });
    return new TypeOrmStore({ dataSource: await dataSource.initialize(), purge: false });
  }
  const store = new FaultInjectingStore(new MemoryStore());
  if (STORE === 'later')
    for (const verb of ['acquire', 'complete', 'release', 'hold'] as const)
      store.always(verb, inAWhile);
  return store;
}

const store = await storeOf();

@Module({ imports: [IdempotencyModule.forRoot({ store })], controllers: [HostileController] })
class AppModule {}

const adapter = PLATFORM === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const app = await NestFactory.create(AppModule, adapter as ExpressAdapter, { logger: false });
await app.listen(0, '127.0.0.1');
const engine = app.get(IdempotencyEngine, { strict: false });
process.on('message', () => process.send?.({ runs, isIdle: engine.isIdle }));
process.send?.((app.getHttpServer().address() as { port: number }).port);
