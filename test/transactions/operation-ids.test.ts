import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { SQLITE } from '../support/sql-databases.js';

describe('op.id() in a transaction', () => {
  it('goes with the attempt that is undone, and costs no statement', async () => {
    const database = await SQLITE.start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();

    @Module({ imports: [IdempotencyModule.forRoot({ store: new TypeOrmStore({ dataSource }) })] })
    class TestModule {}

    const app = await NestFactory.createApplicationContext(TestModule, { logger: false });
    const operation = { scope: 'orders', key: 'no-1', transaction: true } as const;
    const ids: string[] = [];
    const create = (fails: boolean): Promise<string> =>
      app.get(IdempotencyService).run(operation, async (op) => {
        ids.push(await op.id());
        if (fails) throw new Error('undone');
        return op.id();
      });
    await expect(create(true)).rejects.toThrow('undone');
    expect(await create(false)).toBe(ids[1]);
    expect(await create(false)).toBe(ids[1]);
    expect(ids).toHaveLength(2);
    expect(ids[0]! < ids[1]!).toBe(true);
    expect(await app.get(IdempotencyService).find(operation)).toMatchObject({ steps: [] });
    await app.close();
    await database.stop();
  });
});
