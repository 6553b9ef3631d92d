import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { MARIADB, POSTGRES, type SqlDatabase, SQLITE } from '../support/sql-databases.js';

const OPERATION = { scope: 'order', key: 'no-1', transaction: true };

describe.each([POSTGRES, MARIADB, SQLITE])('steps in one transaction, on $name', (kind) => {
  let database: SqlDatabase;
  let dataSource: DataSource;
  let service: IdempotencyService;
  let close: () => Promise<void>;

  beforeAll(async () => {
    database = await kind.start();
    dataSource = await database.connect();
    await dataSource.runMigrations();
    await dataSource.query('CREATE TABLE charges (attempt integer NOT NULL)');
    const store = new TypeOrmStore({ dataSource, purge: false });
    @Module({ imports: [IdempotencyModule.forRoot({ store })] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    service = app.get(IdempotencyService);
    close = () => app.close();
  }, 60_000);

  afterAll(async () => {
    await close?.();
    await database?.stop();
  });

  it('are undone with it, so that the next attempt runs them again', async () => {
    let runs = 0;
    const place = (fails: boolean): Promise<number> =>
      service.run(OPERATION, async (operation) => {
        const charged = await operation.step('charge', async () => {
          runs += 1;
          await currentManager(dataSource).query(`INSERT INTO charges (attempt) VALUES (${runs})`);
          return runs;
        });
        if (fails) throw new Error('after the charge');
        return charged;
      });

    await expect(place(true)).rejects.toThrow('after the charge');
    expect(await service.find(OPERATION)).toBeUndefined();
    expect(await place(false)).toBe(2);
    expect(await dataSource.query('SELECT attempt FROM charges')).toEqual([{ attempt: 2 }]);
    expect(await place(false)).toBe(2);
    expect(runs).toBe(2);
  });
});
