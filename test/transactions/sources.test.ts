import { Controller, Post } from '@nestjs/common';
import { Idempotent, MemoryStore, Operation, type IdempotentOperation } from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { boot, bootError, PATIENT, PLATFORMS } from '../support/http.js';
import { SQLITE, type SqlDatabase } from '../support/sql-databases.js';

@Controller()
class BillingController {
  @Idempotent({ transaction: 'billing' })
  @Post('bills')
  async bill(@Operation() op: IdempotentOperation): Promise<string> {
    await op.manager.query('INSERT INTO bills (amount) VALUES (1)');
    return 'billed';
  }
}

@Controller()
class HastyController {
  @Idempotent({ transaction: true, onStoreFailure: 'proceed' })
  @Post('hasty')
  hasty(): string {
    return 'never';
  }
}

@Controller()
class StreamingController {
  @Idempotent({ transaction: true, stream: 'through' })
  @Post('streams')
  stream(): string {
    return 'never';
  }
}

describe.each(PLATFORMS)('the data source of a transaction (%s)', (platform) => {
  let databases: SqlDatabase[];
  let main: DataSource;
  let billing: DataSource;

  beforeEach(async () => {
    databases = [await SQLITE.start(), await SQLITE.start()];
    [main, billing] = (await Promise.all(databases.map((one) => one.connect()))) as [
      DataSource,
      DataSource,
    ];
    await main.runMigrations();
    await billing.runMigrations();
    await billing.query('CREATE TABLE bills (amount integer)');
  });

  afterEach(async () => {
    for (const database of databases) await database.stop();
  });

  it('is the one that the option names, for work and record', async () => {
    const store = new TypeOrmStore({ dataSource: main, sources: { billing }, purge: false });
    const shop = await boot(platform, {
      controllers: [BillingController],
      idempotency: { ...PATIENT, store },
    });
    try {
      expect((await shop.send('/bills', { key: 'k', body: {} })).status).toBe(201);
      const retry = await shop.send('/bills', { key: 'k', body: {} });
      expect(retry.headers['idempotent-replayed']).toBe('true');
      expect(await billing.query('SELECT * FROM bills')).toHaveLength(1);
      expect(await billing.query('SELECT id FROM idempotency_records')).toHaveLength(1);
      expect(await main.query('SELECT id FROM idempotency_records')).toHaveLength(0);
    } finally {
      await shop.close();
    }
  });

  it('has to be known to the store when the application boots', async () => {
    const store = new TypeOrmStore({ dataSource: main, purge: false });
    const error = await bootError(platform, {
      controllers: [BillingController],
      idempotency: { ...PATIENT, store },
    });
    expect(error.message).toMatch(/transaction of BillingController\.bill.*"billing".*sources/);
  });

  it('is not to be had from a store without transactions', async () => {
    const error = await bootError(platform, {
      controllers: [BillingController],
      idempotency: { store: new MemoryStore() },
    });
    expect(error.message).toMatch(/transaction of BillingController\.bill.*TypeOrmStore/);
  });

  it('cannot be done without when the store fails', async () => {
    const store = new TypeOrmStore({ dataSource: main, purge: false });
    const error = await bootError(platform, {
      controllers: [HastyController],
      idempotency: { ...PATIENT, store },
    });
    expect(error.message).toMatch(/transaction of HastyController\.hasty.*onStoreFailure/);
  });

  it('holds its reply back until the commit', async () => {
    const store = new TypeOrmStore({ dataSource: main, purge: false });
    const error = await bootError(platform, {
      controllers: [StreamingController],
      idempotency: { ...PATIENT, store },
    });
    expect(error.message).toMatch(/stream of StreamingController\.stream.*before the commit/);
  });
});
