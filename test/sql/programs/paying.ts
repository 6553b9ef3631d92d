import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { SqlStore } from 'nestjs-idempotency/sql';
import { PG } from '../support/drivers.js';
import { LAYERS } from '../support/layers.js';
import { PRISMA_PG } from '../support/prisma.js';

/** An application that is killed while it pays over one of the data layers. */
const { LAYER, DATABASE_URL = '' } = process.env;

const CONNECTIONS = 8;

const layer = [PG, PRISMA_PG, ...LAYERS].find(({ name }) => name === LAYER)!;
const { executor, insert } = await layer.open(DATABASE_URL, CONNECTIONS);

@Module({
  imports: [IdempotencyModule.forRoot({ store: new SqlStore({ executor, purge: false }) })],
})
class PayingModule {}

const app = await NestFactory.createApplicationContext(PayingModule, { logger: false });
const service = app.get(IdempotencyService);

process.on('message', (keys: readonly string[]) => {
  for (const key of keys) {
    void service
      .run({ scope: 'pay', key, transaction: true }, async ({ tx }) => {
        await insert(tx, 'payments', key);
        return key;
      })
      .then(
        () => process.send!({ paid: key }),
        () => undefined,
      );
  }
});
process.send!({});
