import { Controller, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Gate } from 'nestjs-idempotency/testing';
import type { DataSource } from 'typeorm';
import { boot, PATIENT, type TestApp } from '../support/http.js';
import { MARIADB, type SqlDatabase } from '../support/sql-databases.js';

describe('two databases on one MariaDB', () => {
  let server: SqlDatabase;
  const apps: TestApp[] = [];

  const start = async (dataSource: DataSource, gate: Gate): Promise<TestApp> => {
    @Controller()
    class Payments {
      @Idempotent({ transaction: true })
      @Post('payments')
      async pay(): Promise<object> {
        await gate.pass();
        return { paid: true };
      }
    }
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource, purge: false });
    const app = await boot('express', {
      controllers: [Payments],
      idempotency: { ...PATIENT, store },
    });
    apps.push(app);
    return app;
  };

  beforeAll(async () => {
    server = await MARIADB.start();
  });

  afterAll(async () => {
    for (const app of apps) await app.close();
    await server.stop();
  });

  it('have nothing to do with each other: the same key runs in both at once', async () => {
    const gate = new Gate();
    const one = await server.connect();
    await one.query('CREATE DATABASE neighbour');
    const { url } = one.options as { readonly url: string };
    const other = await server.connect({ url: url.replace(/[^/]*$/, 'neighbour') });
    const shops = [await start(one, gate), await start(other, gate)];
    const replies = shops.map((shop) => shop.send('/payments', { key: 'same', body: {} }));
    await gate.reached(2);
    gate.open();
    for (const reply of await Promise.all(replies)) expect(reply.status).toBe(201);
  });
});
