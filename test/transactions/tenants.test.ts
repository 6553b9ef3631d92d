import { Body, Controller, Headers, Param, Post, Put } from '@nestjs/common';
import {
  Idempotent,
  IdempotencyService,
  type IdempotentOperation,
  ifMatch,
  Operation,
  param,
} from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Column, type DataSource, Entity, PrimaryColumn, VersionColumn } from 'typeorm';
import { boot, bootError, eventually, PATIENT, type Reply, type TestApp } from '../support/http.js';
import { SQLITE, type SqlDatabase } from '../support/sql-databases.js';

@Entity('goods')
class Goods {
  @PrimaryColumn('integer') id!: number;
  @Column('varchar') name!: string;
  @VersionColumn() version!: number;
}

const TENANTS = ['red', 'blue'] as const;
type Tenant = (typeof TENANTS)[number];

const databases: SqlDatabase[] = [];
const apps: TestApp[] = [];

async function connect(): Promise<DataSource> {
  const database = await SQLITE.start();
  databases.push(database);
  const source = await database.connect({ entities: [Goods], synchronize: true });
  await source.runMigrations();
  return source;
}

async function started(options: Parameters<typeof boot>[1]): Promise<TestApp> {
  const app = await boot('express', options);
  apps.push(app);
  return app;
}

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
  for (const database of databases.splice(0)) await database.stop();
});

const records = (source: DataSource): Promise<{ state: string }[]> =>
  source.query('SELECT state FROM idempotency_records');

describe('further data sources of a store', () => {
  @Controller()
  class Billing {
    @Post('bills')
    @Idempotent({ transaction: 'billing', ttl: '5ms' })
    bill(): string {
      return 'billed';
    }

    @Post('held')
    @Idempotent({ transaction: 'billing', onError: 'hold' })
    held(): never {
      throw new Error('did it go through?');
    }
  }

  it('are checked when the application boots', async () => {
    const [main, billing] = [await connect(), await connect()];
    await billing.query('DROP TABLE idempotency_records');
    const error = await bootError('express', {
      controllers: [Billing],
      idempotency: { store: new TypeOrmStore({ dataSource: main, sources: { billing } }) },
    });
    expect(error.message).toMatch(/table of TypeOrmStore.*no such table/);
  });

  it('are purged', async () => {
    const [main, billing] = [await connect(), await connect()];
    const store = new TypeOrmStore({
      dataSource: main,
      sources: { billing },
      purge: { everyMs: 20 },
    });
    const shop = await started({ controllers: [Billing], idempotency: { ...PATIENT, store } });
    expect((await shop.send('/bills', { key: 'k' })).status).toBe(201);
    await eventually(async () => (await records(billing)).length === 0);
    expect(await records(main)).toEqual([]);
  });

  it('are reachable for operators, who may name them', async () => {
    const [main, billing] = [await connect(), await connect()];
    const store = new TypeOrmStore({ dataSource: main, sources: { billing }, purge: false });
    const shop = await started({ controllers: [Billing], idempotency: { ...PATIENT, store } });
    const service = shop.app.get(IdempotencyService);
    const held = { scope: 'POST /held', key: 'k' };
    await shop.send('/held', { key: 'k' });
    expect(await service.find(held)).toMatchObject({ state: 'held' });
    expect(await service.find({ ...held, source: 'billing' })).toMatchObject({ state: 'held' });
    expect(await service.settle(held, 'release')).toBe(true);
    expect(await service.find(held)).toMatchObject({ state: 'released' });
    expect(await service.forget(held)).toBe(true);
    expect(await service.find(held)).toBeUndefined();
    await expect(service.find({ ...held, source: 'elsewhere' })).rejects.toThrow(/billing/);
  });
});

describe('one data source for each tenant', () => {
  let sources: Record<Tenant, DataSource>;
  let gate: Gate;
  let runs: string[];

  beforeEach(async () => {
    sources = { red: await connect(), blue: await connect() };
    for (const tenant of TENANTS)
      await sources[tenant].query(`INSERT INTO goods VALUES (1, '${tenant}', 1)`);
    gate = new Gate();
    runs = [];
  });

  const send = (app: TestApp, tenant: string, path: string, key?: string): Promise<Reply> =>
    app.send(path, { key, headers: { 'x-tenant': tenant }, body: {} });

  async function expectApart(app: TestApp, path: string): Promise<void> {
    const both = TENANTS.map((tenant) => send(app, tenant, path, 'same'));
    await gate.reached(TENANTS.length);
    gate.open();
    for (const [at, reply] of (await Promise.all(both)).entries())
      expect([reply.status, reply.text]).toEqual([201, TENANTS[at]]);
    for (const tenant of TENANTS) {
      const again = await send(app, tenant, path, 'same');
      expect([again.text, again.headers['idempotent-replayed']]).toEqual([tenant, 'true']);
      expect(await records(sources[tenant])).toEqual([{ state: 'completed' }]);
    }
    expect(runs.sort()).toEqual(['blue', 'red']);
  }

  describe('from a function of the store', () => {
    const tenants = new AsyncLocalStorage<Tenant>();
    let outside = 0;

    @Controller()
    class Shop {
      @Post('leased')
      @Idempotent({ lease: '150ms' })
      async leased(): Promise<string> {
        const tenant = tenants.getStore()!;
        runs.push(tenant);
        await gate.pass();
        // Long enough for renewals, which no call waits for.
        await sleep(300);
        return tenant;
      }

      @Post('together')
      @Idempotent({ transaction: true })
      async together(@Operation() { manager }: IdempotentOperation): Promise<string> {
        const [row] = await manager.query<[{ name: string }]>('SELECT name FROM goods');
        runs.push(row.name);
        await gate.pass();
        return row.name;
      }

      @Put('goods/:id')
      @Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })
      async rename(@Param('id') id: string): Promise<void> {
        const manager = currentManager(sources[tenants.getStore()!]);
        await manager.update(Goods, { id: Number(id) }, { name: 'renamed' });
      }
    }

    let shop: TestApp;

    beforeEach(async () => {
      const dataSource = (): DataSource => {
        const tenant = tenants.getStore();
        if (tenant === undefined) outside += 1;
        return sources[tenant ?? 'red'];
      };
      shop = await started({
        controllers: [Shop],
        idempotency: { ...PATIENT, store: new TypeOrmStore({ dataSource, purge: false }) },
        configure: (app) =>
          app.use(
            (request: { headers: Record<string, Tenant> }, _response: unknown, next: () => void) =>
              tenants.run(request.headers['x-tenant']!, next),
          ),
      });
      outside = 0;
    });

    it.each(['/leased', '/together'])('is never mixed: %s', async (path) => {
      await expectApart(shop, path);
      expect(outside).toBe(0);
    });

    it('is where versions are compared and set', async () => {
      for (const tenant of TENANTS) {
        const reply = await shop.send('/goods/1', {
          method: 'PUT',
          headers: { 'x-tenant': tenant, 'if-match': '"1"' },
          body: {},
        });
        expect([tenant, reply.status]).toEqual([tenant, 200]);
      }
      for (const tenant of TENANTS)
        expect(await sources[tenant].query('SELECT name, version FROM goods')).toEqual([
          { name: 'renamed', version: 2 },
        ]);
    });
  });

  it('from the option transaction, which is asked for each call', async () => {
    @Controller()
    class Shop {
      @Post('together')
      @Idempotent({ transaction: (call) => call.request!.headers['x-tenant'] as string })
      async together(
        @Operation() { manager }: IdempotentOperation,
        @Headers('x-tenant') tenant: string,
        @Body() _body: unknown,
      ): Promise<string> {
        const [row] = await manager.query<[{ name: string }]>('SELECT name FROM goods');
        expect(row.name).toBe(tenant);
        runs.push(tenant);
        await gate.pass();
        return tenant;
      }
    }
    const store = new TypeOrmStore({ dataSource: await connect(), sources, purge: false });
    const shop = await started({ controllers: [Shop], idempotency: { ...PATIENT, store } });
    await expectApart(shop, '/together');
    const stranger = await send(shop, 'green', '/together', 'same');
    expect([stranger.status, stranger.json()]).toEqual([
      500,
      expect.objectContaining({ code: 'IDEMPOTENCY_NOT_PROTECTED' }),
    ]);
    expect(shop.complaints.join('\n')).toMatch(/"green".*red, blue/);
    const service = shop.app.get(IdempotencyService);
    const ref = { scope: 'POST /together', key: 'same' };
    await expect(service.find(ref)).rejects.toThrow(/several have this record: red, blue/);
    expect(await service.find({ ...ref, source: 'red' })).toMatchObject({ state: 'completed' });
  });
});
