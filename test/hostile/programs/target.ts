import 'reflect-metadata';
import {
  Body,
  Controller,
  HttpException,
  type INestApplication,
  Module,
  Param,
  Post,
  Put,
  StreamableFile,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Redis } from 'ioredis';
import {
  body,
  Idempotent,
  IdempotencyModule,
  IdempotencyService,
  type IdempotentOperation,
  Operation,
  param,
  signature,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import type { TargetReady, TargetSettings, TargetState } from '../attack.js';

/** Applications on both platforms, in a process that has to live through everything. */
const { store: kind, url } = JSON.parse(process.env.TARGET_SETTINGS!) as TargetSettings;
const transaction = kind === 'PostgreSQL';
const unhandled: string[] = [];
const unheard = (error: unknown): void => {
  unhandled.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
};
process.on('unhandledRejection', unheard);
process.on('uncaughtException', unheard);

let running = 0;
let runs = 0;

async function work<T>(result: T): Promise<T> {
  running += 1;
  runs += 1;
  try {
    await sleep(runs % 5);
    return result;
  } finally {
    running -= 1;
  }
}

interface Told {
  readonly name?: unknown;
  readonly status?: unknown;
}

@Controller()
class TargetController {
  @Idempotent()
  @Post('pay')
  pay(@Body() content: unknown): Promise<object> {
    return work({ content });
  }

  @Idempotent({ key: body('orderNo') })
  @Post('by-number')
  byNumber(): Promise<object> {
    return work({ done: true });
  }

  @Idempotent({ key: signature(), ttl: '10s' })
  @Post('signed')
  signed(): Promise<object> {
    return work({ done: true });
  }

  @Idempotent({ key: param('id'), fingerprint: false })
  @Put('goods/:id')
  goods(@Param('id') id: string): Promise<object> {
    return work({ id });
  }

  @Idempotent({ required: false, transaction })
  @Post('optional')
  optional(@Body() content: unknown): Promise<object> {
    return work({ content });
  }

  @Idempotent({ transaction, wait: 50 })
  @Post('late')
  async late(): Promise<object> {
    await sleep(20);
    return work({ done: true });
  }

  @Idempotent()
  @Post('held')
  async held(@Operation() operation: IdempotentOperation): Promise<object> {
    if (runs % 3 === 0) await operation.hold('nobody knows');
    return work({ done: true });
  }

  @Idempotent()
  @Post('file')
  file(@Body() told: Told | undefined): StreamableFile {
    const disposition = `attachment; filename="${String(told?.name)}"`;
    return new StreamableFile(Buffer.from('content'), { disposition });
  }

  @Idempotent()
  @Post('throw')
  async throw(@Body() told: Told | undefined): Promise<never> {
    await work(undefined);
    throw new HttpException('as it was told', told?.status as number);
  }
}

let pool: { totalCount: number; idleCount: number; waitingCount: number } | undefined;

async function storeOf(): Promise<IdempotencyStore> {
  if (kind === 'Redis') return new RedisStore({ client: new Redis(url) });
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    migrations: [CreateIdempotencyRecords1763700000000],
    migrationsRun: true,
    extra: { max: 5 },
  }).initialize();
  pool = (dataSource.driver as unknown as { master: NonNullable<typeof pool> }).master;
  return new TypeOrmStore({ dataSource });
}

const store = await storeOf();
const open = new Set<string>();

async function listen(adapter: ExpressAdapter): Promise<INestApplication> {
  @Module({ imports: [IdempotencyModule.forRoot({ store })], controllers: [TargetController] })
  class TargetModule {}
  const app = await NestFactory.create(TargetModule, adapter, { logger: false });
  app.get(IdempotencyService).events$.subscribe((event) => {
    if (event.type === 'claimed') open.add(event.id);
    if (event.type === 'stored' || event.type === 'released' || event.type === 'held')
      open.delete(event.id);
  });
  await app.listen(0, '127.0.0.1');
  return app;
}

const apps = [
  await listen(new ExpressAdapter()),
  await listen(new FastifyAdapter() as unknown as ExpressAdapter),
];

async function connections(): Promise<number> {
  const counts = apps.map(
    (app) =>
      new Promise<number>((resolve) => {
        const server = app.getHttpServer() as {
          getConnections(told: (error: unknown, count: number) => void): void;
        };
        server.getConnections((_error, count) => resolve(count));
      }),
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function state(): Promise<TargetState> {
  const records = await Promise.all([...open].map(async (id) => store.find(id)));
  const busy = {
    'handlers at work': running,
    'operations in flight': records.filter((record) => record?.state === 'in-flight').length,
    'claims without an end': open.size,
    'connections of clients': await connections(),
    'connections of the pool in use': pool === undefined ? 0 : pool.totalCount - pool.idleCount,
    'calls that wait for a connection': pool?.waitingCount ?? 0,
  };
  return { busy, unhandled, runs };
}

process.on('message', () => void state().then((told) => process.send?.(told)));
const ports = apps.map((app) => (app.getHttpServer().address() as { port: number }).port);
process.send?.({ ports } satisfies TargetReady);
