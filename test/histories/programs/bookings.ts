import 'reflect-metadata';
import { Body, Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Idempotent,
  IdempotencyModule,
  Operation,
  type IdempotentOperation,
} from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { postgresUrl } from '../../support/servers/postgres.js';
import { BOOKING_SCOPE, type BookingsReady } from '../killed-transactions.js';

/** Applications that book within the transaction of the operation, in one process that has to live. */
const url = postgresUrl(Number(process.env.SERVER_PORT));
const APPLICATIONS = 3;

@Controller()
class BookingsController {
  @Idempotent({ transaction: true, lease: '2s', scope: BOOKING_SCOPE })
  @Post('book')
  async book(
    @Body('key') key: string,
    @Operation() { manager }: IdempotentOperation,
  ): Promise<{ number: number }> {
    const [row] = await manager.query<[{ number: string }]>(
      'INSERT INTO bookings (key) VALUES ($1) RETURNING number',
      [key],
    );
    await sleep(Math.random() * 60);
    if (Math.random() < 0.1) throw new Error('not this time');
    await manager.query('INSERT INTO seats (key) VALUES ($1)', [key]);
    return { number: Number(row.number) };
  }
}

process.on('unhandledRejection', (error) => {
  process.stderr.write(`unhandled: ${String(error)}\n`);
  process.exit(1);
});

async function open(): Promise<{ port: number; dataSource: DataSource }> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    applicationName: 'bookings',
    extra: { max: 8 },
  }).initialize();
  const store = new TypeOrmStore({ dataSource });

  @Module({
    imports: [IdempotencyModule.forRoot({ store, storeTimeout: '1s' })],
    controllers: [BookingsController],
  })
  class BookingsModule {}
  const app = await NestFactory.create(BookingsModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  return { port, dataSource };
}

const applications = await Promise.all(Array.from({ length: APPLICATIONS }, open));
process.on('message', () => {
  const pools = applications.map(({ dataSource }) => {
    const { master } = dataSource.driver as unknown as {
      master: { totalCount: number; idleCount: number; waitingCount: number };
    };
    return { busy: master.totalCount - master.idleCount, waiting: master.waitingCount };
  });
  process.send?.(pools);
});
process.send?.({ ports: applications.map(({ port }) => port) } satisfies BookingsReady);
