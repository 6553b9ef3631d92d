// Prints what is wrong with the packed library on the run time that runs it, as JSON. It has to end by itself.
import 'reflect-metadata';
import {
  Body,
  Controller,
  Inject,
  Injectable,
  InternalServerErrorException,
  Module,
  Post,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Redis } from 'ioredis';
import {
  Idempotent,
  IdempotencyModule,
  type IdempotentOperation,
  MemoryStore,
  Operation,
} from 'nestjs-idempotency';
import { createIdempotentFetch } from 'nestjs-idempotency/client';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import {
  CreateIdempotencyRecords1763700000000,
  currentManager,
  TypeOrmStore,
} from 'nestjs-idempotency/typeorm';
import { createClient } from 'redis';
import { DataSource } from 'typeorm';
import { ROWS } from './rows.js';

interface Order {
  readonly orderId: string;
  readonly amount: number;
}

/** Where a handler stops until the test lets it go on. */
function createGate() {
  let arrive!: () => void;
  let open!: () => void;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { arrive, open, reached, opened };
}

/** What the handlers did, and where they stop. */
@Injectable()
class Work {
  runs = 0;
  gate = createGate();
  hasFailed = false;
  dataSource: DataSource | undefined;

  async do(order: Order): Promise<object> {
    const id = ++this.runs;
    if (this.dataSource !== undefined) {
      const manager = currentManager(this.dataSource);
      await manager.query('insert into effects (order_id) values ($1)', [order.orderId]);
    }
    return { id, ...order };
  }
}

function controllerOf(transaction: boolean) {
  @Controller('orders')
  class OrdersController {
    constructor(@Inject(Work) private readonly work: Work) {}

    @Post()
    @Idempotent({ transaction, scope: 'orders' })
    async order(@Body() order: Order, @Operation() op: IdempotentOperation) {
      await op.step('noted', () => Promise.resolve(1));
      return { ...(await this.work.do(order)), attempt: op.attempt };
    }

    @Post('held')
    @Idempotent({ transaction, scope: 'held' })
    async held(@Body() order: Order) {
      this.work.gate.arrive();
      await this.work.gate.opened;
      return this.work.do(order);
    }

    @Post('awaited')
    @Idempotent({ transaction, wait: '60s', scope: 'awaited' })
    async awaited(@Body() order: Order) {
      this.work.gate.arrive();
      await this.work.gate.opened;
      return this.work.do(order);
    }

    @Post('failing')
    @Idempotent({ transaction, scope: 'failing' })
    async failing(@Body() order: Order) {
      const done = await this.work.do(order);
      if (this.work.hasFailed) return done;
      this.work.hasFailed = true;
      throw new InternalServerErrorException();
    }
  }
  return OrdersController;
}

/** A place for records that a row is about. */
interface Place {
  readonly store: IdempotencyStore;
  readonly dataSource?: DataSource;
  close(): Promise<unknown>;
}

const PLACES: Record<(typeof ROWS)[number]['store'], () => Promise<Place>> = {
  memory: () => Promise.resolve({ store: new MemoryStore(), close: () => Promise.resolve() }),
  ioredis: async () => {
    const client = new Redis(process.env.REDIS_URL!);
    await client.flushdb();
    return { store: new RedisStore({ client }), close: () => client.quit() };
  },
  'node-redis': async () => {
    const client = createClient({ url: process.env.REDIS_URL! });
    client.on('error', (error) => console.error(error));
    await client.connect();
    await client.flushDb();
    return { store: new RedisStore({ client }), close: () => client.close() };
  },
  'PostgreSQL, one commit': async () => {
    const dataSource = new DataSource({
      type: 'postgres',
      url: process.env.POSTGRES_URL!,
      migrations: [CreateIdempotencyRecords1763700000000],
    });
    await dataSource.initialize();
    await dataSource.runMigrations();
    await dataSource.query('create table if not exists effects (order_id text not null)');
    await dataSource.query('truncate effects, idempotency_records');
    return {
      store: new TypeOrmStore({ dataSource }),
      dataSource,
      close: () => dataSource.destroy(),
    };
  },
};

async function faultsOf({ platform, store }: (typeof ROWS)[number]): Promise<string[]> {
  const place = await PLACES[store]();
  const isTransaction = place.dataSource !== undefined;

  @Module({
    imports: [IdempotencyModule.forRoot({ store: place.store, storeTimeout: '30s' })],
    controllers: [controllerOf(isTransaction)],
    providers: [Work],
  })
  class AppModule {}

  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(AppModule, adapter, { logger: false, abortOnError: false });
  try {
    await app.listen(0, '127.0.0.1');
    const work = app.get(Work);
    work.dataSource = place.dataSource;
    return await faultsAt(await app.getUrl(), work);
  } finally {
    await app.close();
    await place.close();
  }
}

async function faultsAt(url: string, work: Work): Promise<string[]> {
  const faults: string[] = [];
  const expect = (what: string, actual: unknown, expected: unknown): void => {
    const [is, ought] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (is !== ought) faults.push(`${what}: ${is}, not ${ought}`);
  };
  const post = async (path: string, key: string | undefined, amount = 40) => {
    const response = await fetch(`${url}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { 'idempotency-key': key }) },
      body: JSON.stringify({ orderId: key, amount }),
    });
    const text = await response.text();
    return { status: response.status, text, replayed: response.headers.get('idempotent-replayed') };
  };
  const codeOf = ({ text }: { text: string }) => (JSON.parse(text) as { code?: string }).code;

  const first = await post('orders', 'k-1');
  expect('first call', [first.status, first.replayed], [201, null]);
  expect('retry', await post('orders', 'k-1'), { ...first, replayed: 'true' });
  expect('other content', codeOf(await post('orders', 'k-1', 50)), 'IDEMPOTENCY_KEY_REUSED');
  expect('no key', codeOf(await post('orders', undefined)), 'IDEMPOTENCY_KEY_REQUIRED');
  expect('runs', work.runs, 1);

  work.gate = createGate();
  const running = post('orders/held', 'k-2');
  await work.gate.reached;
  expect('duplicate', codeOf(await post('orders/held', 'k-2')), 'IDEMPOTENCY_KEY_IN_USE');
  work.gate.open();
  expect('call that had a duplicate', (await running).status, 201);

  work.gate = createGate();
  const owner = post('orders/awaited', 'k-3');
  await work.gate.reached;
  const waiting = post('orders/awaited', 'k-3');
  // It may come before or after the end: the answer is the same.
  setTimeout(() => work.gate.open(), 50);
  expect('duplicate that waits', await waiting, { ...(await owner), replayed: 'true' });
  expect('runs with duplicates', work.runs, 3);

  expect('failure', (await post('orders/failing', 'k-4')).status, 500);
  expect('retry of a failure', (await post('orders/failing', 'k-4')).status, 201);
  expect('runs with a failure', work.runs, 5);

  let requests = 0;
  const send = createIdempotentFetch({
    baseDelayMs: 1,
    maxDelayMs: 1,
    fetch: async (...request) => {
      const response = await fetch(...request);
      if (++requests > 1) return response;
      await response.arrayBuffer();
      throw new TypeError('The answer was lost.');
    },
  });
  const response = await send(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ orderId: 'client', amount: 40 }),
    intent: 'order',
  });
  const answer = (await response.json()) as Order;
  expect('client', [response.status, answer.orderId, requests], [201, 'client', 2]);
  expect('replay for the client', response.headers.get('idempotent-replayed'), 'true');
  expect('runs with the client', work.runs, 6);

  if (work.dataSource !== undefined) {
    const rows: { order_id: string }[] = await work.dataSource.query(
      'select order_id from effects order by order_id',
    );
    // The failure's was undone with its record.
    expect(
      'effects',
      rows.map((row) => row.order_id),
      ['client', 'k-1', 'k-2', 'k-3', 'k-4'],
    );
  }
  return faults;
}

/** Bun and Deno say that they are a Node, too. */
function nameOfRunTime(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}

async function main(): Promise<void> {
  const all: Record<string, string[]> = {};
  for (const row of ROWS) all[row.name] = await faultsOf(row).catch((error) => [String(error)]);
  console.log(JSON.stringify({ runTime: nameOfRunTime(), faults: all }));
}

void main();
