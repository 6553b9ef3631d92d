import { Controller, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { boot, PATIENT } from '../support/http.js';
import { MARIADB, PGLITE, POSTGRES, SQLITE } from '../support/sql-databases.js';
import { describeOneTransaction } from './support/one-transaction.js';

describeOneTransaction(POSTGRES, 'express');
describeOneTransaction(POSTGRES, 'fastify');
describeOneTransaction(MARIADB, 'express');
describeOneTransaction(PGLITE, 'fastify');
describeOneTransaction(SQLITE, 'express');

describe('one transaction on a pool of one', () => {
  it('tells a handler that asks for a second connection, instead of waiting for itself', async () => {
    const database = await PGLITE.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    @Controller()
    class StuckController {
      @Idempotent({ transaction: true })
      @Post('stuck')
      async stuck(): Promise<string> {
        await dataSource.query('SELECT 1');
        return 'never';
      }
    }
    const shop = await boot('express', {
      controllers: [StuckController],
      idempotency: { ...PATIENT, store: new TypeOrmStore({ dataSource, purge: false }) },
    });
    try {
      expect((await shop.send('/stuck', { key: 'k', body: {} })).status).toBe(500);
      expect(shop.complaints.join('\n')).toContain('op.manager or currentManager');
    } finally {
      await shop.close();
      await database.stop();
    }
  });
});
